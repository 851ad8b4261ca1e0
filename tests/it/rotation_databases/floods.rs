//! Databases that let everybody in and then send without end.
use super::{Engine, Rotating};
use crate::databases::HOST;
use claviger::rotation::FailureKind;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// What the kernel's buffers hold at most, and more than a session may read.
const TAKEN: usize = 32 * 1024 * 1024;
/// For the end of a connection, once its step has failed.
const SOON: Duration = Duration::from_secs(5);
/// Rows before the numbers of MySQL's packets come round.
const ROUND: u8 = 255;

/// The first one at once, each other when the client has said something.
type Answers = Vec<Vec<u8>>;

/// Serves one client after the other. Tells of each how many bytes it took of what has no end.
async fn flood(answers: Answers, piece: Vec<u8>) -> (u16, mpsc::UnboundedReceiver<usize>) {
    let listener = TcpListener::bind((HOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            if converse(&mut stream, &answers).await.is_ok() {
                let mut taken = 0;
                while let Ok(length) = stream.write(&piece[taken % piece.len()..]).await {
                    taken += length;
                }
                let _ = tell.send(taken);
            }
        }
    });
    (port, told)
}

async fn converse(stream: &mut TcpStream, answers: &Answers) -> std::io::Result<()> {
    let mut said = [0; 4096];
    for (n, answer) in answers.iter().enumerate() {
        if n > 0 && stream.read(&mut said).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        stream.write_all(answer).await?;
    }
    Ok(())
}

/// The step fails with this text, and leaves no connection behind. Answers how much was taken.
async fn fails(engine: Engine, answers: Answers, piece: Vec<u8>, text: &str) -> usize {
    let (port, mut told) = flood(answers, piece).await;
    let rotating = Rotating::with("single-user").await;
    let mut value = engine.value("app", "first");
    (value["port"], value["ssl"]) = (json!(port), json!(false));
    let secret = rotating.secret("s", &value).await;
    let failure = rotating.rotate(&secret).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Passing, "{failure}");
    assert!(failure.message.ends_with(text), "{failure}");
    let taken = tokio::time::timeout(SOON, told.recv()).await;
    taken.expect("the connection is still there").unwrap()
}

const TOO_MUCH: &str = "the database answered more than it was asked for";
const BROKE: &str = "the connection to the database failed or broke";

fn postgres_message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

#[tokio::test]
async fn of_postgresql_no_answer_is_held_that_has_no_end() {
    let ready = postgres_message(b'Z', b"I");
    let entered = [postgres_message(b'R', &[0; 4]), ready.clone()].concat();
    let done = [postgres_message(b'C', b"SET\0"), ready].concat();
    let column = [&[0, 1][..], b"v\0", &[0; 6], &[0, 0, 0, 25], &[0xff; 6], &[0; 2]].concat();
    let column = postgres_message(b'T', &column);
    let row = postgres_message(b'D', &[0, 1, 0, 0, 0, 1, b'x']);
    let notice = postgres_message(b'N', b"SNOTICE\0C00000\0Mx\0\0");
    // A row that says that it has a gigabyte.
    let long = [&column[..], &[b'D', 0x40, 0, 0, 0, 0, 1, 0x3f, 0xff, 0xff, 0xf0]].concat();
    for (answers, piece, text) in [
        (&[&entered, &done, &column][..], row.repeat(1000), TOO_MUCH),
        (&[&entered, &done, &long], vec![b'x'; 64 * 1024], BROKE),
        (&[&entered, &done, &column], notice.repeat(1000), BROKE),
        (&[&entered, &column], row.repeat(1000), BROKE),
        (&[&entered], notice.repeat(1000), BROKE),
    ] {
        // The client speaks first.
        let answers = std::iter::once(Vec::new()).chain(answers.iter().map(|one| one.to_vec()));
        let answers = answers.collect();
        let taken = fails(Engine::Postgres, answers, piece, text).await;
        assert!(taken < TAKEN, "{taken}");
    }
}

fn packet(number: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    [&length[..3], &[number], body].concat()
}

fn greeting() -> Vec<u8> {
    let greeting = [
        &b"\x0a5.7.0\0"[..],
        &[1, 0, 0, 0],
        b"abcdefgh\0",
        // What it can do: the protocol of 4.1 with its passwords and plugins, and databases.
        &[0x09, 0xa2, 0x21, 2, 0, 0x08, 0, 21],
        &[0; 10],
        b"ijklmnopqrst\0",
        b"mysql_native_password\0",
    ];
    packet(0, &greeting.concat())
}

#[tokio::test]
async fn of_mysql_no_answer_is_held_that_has_no_end() {
    let done = |number| packet(number, &[0, 0, 0, 2, 0, 0, 0]);
    let column = b"\x03def\0\0\0\x01v\0\x0c\x21\0\xff\0\0\0\xfd\0\0\0\0\0";
    let head = [packet(1, &[1]), packet(2, column), packet(3, &[0xfe, 0, 0, 2, 0])].concat();
    let long = [&[0xfc, 0x00, 0x40][..], &[b'x'; 0x4000]].concat();
    for row in [&[1, b'x'][..], &long[..]] {
        let rows = (0..=ROUND).map(|n| packet(n.wrapping_add(4), row));
        let rows: Vec<u8> = rows.flatten().collect();
        let answers = vec![greeting(), done(2), done(1), head.clone()];
        fails(Engine::MariaDb, answers, rows, TOO_MUCH).await;
    }
}
