//! What an endpoint does wrong is in the secret's history, and the rotation goes on from there.
use super::Stage;
use super::endpoint::{LambdaServer, http};
use crate::support::token;
use claviger::secrets::rotation::{Outcome, Step};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// Seconds to the next attempt.
const BACK_OFF: i64 = 10;

/// What somebody before the endpoint does with one request instead of passing it on.
enum Wrong {
    /// Never answers.
    Silence,
    /// Answers these bytes, and no more.
    Says(String),
}

/// Stands before a port: the request of number `nth`, from one, goes wrong.
async fn stand_before(port: u16, nth: usize, wrong: Wrong) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        for n in 1.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            if n != nth {
                let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                tokio::spawn(async move { copy_bidirectional(&mut stream, &mut server).await });
                continue;
            }
            let mut read = Vec::new();
            while !read.ends_with(b"}") {
                assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0);
            }
            match &wrong {
                Wrong::Silence => kept.push(stream),
                Wrong::Says(bytes) => drop(stream.write_all(bytes.as_bytes()).await),
            }
        }
    });
    own
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_endpoint_does_wrong_is_in_the_history() {
    let says = |text: &str| Wrong::Says(text.to_owned());
    let page = says(&http("200 OK", "", "<html>it works</html>"));
    let down = says(&http("503 Service Unavailable", "", "<html>later</html>"));
    for (nth, wrong, message) in [
        (1, Wrong::Silence, "Task timed out after 5.00 seconds"),
        // It crashes: before its answer, and in it.
        (2, says(""), "the endpoint cannot be asked: connection closed before message completed"),
        (
            3,
            says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nnu"),
            "the endpoint cannot be asked: ",
        ),
        (4, says("\u{0}\u{1} what is this\r\n\r\n"), "the endpoint cannot be asked: invalid HTTP"),
        (1, page, "the endpoint's answer is not JSON"),
        (2, down, "the endpoint answered 503 Service Unavailable"),
    ] {
        let mut stage = Stage::new(|_| "url = \"http://127.0.0.1:1\"".into()).await;
        let server = LambdaServer::start(&stage).await;
        let port = stand_before(server.port, nth, wrong).await;
        stage.register(&format!("{}timeout = 5\n", server.section_at(port)));
        LambdaServer::secrets_are_at(&stage, &stage.world.serve().await);
        let scheduler = stage.scheduler().await;
        stage.begin().await;
        scheduler.sweep().await;

        let (finished, run) = stage.record().await;
        assert!(finished.is_empty(), "{message}");
        let run = run.unwrap_or_else(|| panic!("{message}: it is to be tried again"));
        let last = run.attempts.last().unwrap();
        assert_eq!((run.attempts.len(), last.step), (nth, Step::ALL[nth - 1]));
        let error = last.error.clone().unwrap();
        assert!(error.starts_with(message), "{error}");
        assert_eq!(stage.current().await, (token(1), "first".into()));

        stage.world.clock.advance(BACK_OFF);
        scheduler.sweep().await;
        let (finished, run) = stage.record().await;
        assert!(run.is_none(), "{run:?}");
        assert_eq!((finished.len(), finished[0].outcome), (1, Outcome::Succeeded));
        let attempts = &finished[0].attempts;
        let steps: Vec<Step> = attempts.iter().map(|attempt| attempt.step).collect();
        assert_eq!(steps, [&Step::ALL[..nth], &Step::ALL[..]].concat());
        let errors: Vec<_> = attempts.iter().filter_map(|attempt| attempt.error.clone()).collect();
        assert_eq!(errors, [error]);
        let (version, password) = stage.current().await;
        assert_eq!(version, token(2));
        assert_eq!(std::fs::read_to_string(stage.place("database")).unwrap(), password);
    }
}
