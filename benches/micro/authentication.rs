//! What the time that a refusal takes tells: of an unknown access key, of a signature that is wrong in
//! its first byte, and of one that is wrong in its last. Everything between the parsed request and the
//! verdict is measured. What follows, the answer and the audit event, says openly which of the two
//! refusals it is, and the longer text takes longer; sockets and disks hide more than they tell.
//!
//! The classes are measured in random order, so that what else the machine does hits all of them alike.
//! Whether two of them differ says Welch's t: below 4.5 they cannot be told apart, by the measure that
//! is used for side channels (Goodwill, Jun, Jaffe, Rohatgi: "A testing methodology for side-channel
//! resistance validation").
use crate::Outcome;
use crate::operations::now;
use crate::world::{Forgetful, REGION, World};
use bytes::Bytes;
use claviger::clock::{Clock, SystemClock};
use claviger::http::{Front, Incoming};
use claviger::identity::AccessKey;
use claviger::random::{Random, SystemRandom};
use claviger::sigv4::{self, Credentials};
use http::HeaderValue;
use http::request::Parts;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// Of each class.
const SAMPLES: usize = 10_000;
/// Not counted: caches fill, the processor finds its pace.
const WARM_UP: usize = 1_000;
/// The slowest, of all classes together, are the machine's interruptions.
const KEPT_PERCENT: usize = 99;
const BOUND: f64 = 4.5;
const CLASSES: [&str; 3] = ["unknown key", "first byte wrong", "last byte wrong"];
const BODY: &[u8] = br#"{"KeyId":"1234abcd-12ab-34cd-56ef-1234567890ab"}"#;

/// Nanoseconds of each class.
type Samples = [Vec<f64>; CLASSES.len()];

pub fn run(wants: &dyn Fn(&str) -> bool, runtime: &Runtime, dir: &Path) -> Outcome<()> {
    let name = "timing of refusals";
    if !wants(name) {
        return Ok(());
    }
    println!("\n| {name} | mean ns | mean ns | Welch's t | below {BOUND} |");
    println!("|---|---|---|---|---|");
    let dir = dir.join("timing");
    let world = runtime.block_on(World::with_store_on_disk(&dir, Arc::new(Forgetful)))?;
    let front = Front::new(world.server.clone(), None, None);
    let (good, requests) = requests(runtime, &world)?;
    // The work for an unknown key is that for one which came before.
    let welcome = incoming(good);
    runtime.block_on(front.prover(&welcome)).ok_or("the good request is refused")?;
    let samples = measure(runtime, &front, &requests)?;
    compare(&fastest(samples));
    Ok(())
}

fn compare(kept: &Samples) {
    let named = || CLASSES.iter().zip(kept);
    for (at, (class, one)) in named().enumerate() {
        for (to, other) in named().skip(at + 1) {
            let t = welch(one, other);
            let verdict = if t.abs() < BOUND { "ok" } else { "exceeds" };
            let (here, there) = (moments(one).0, moments(other).0);
            let pair = format!("{class} / {to}");
            println!("| {pair} | {here:.0} | {there:.0} | {t:.2} | {verdict} |");
        }
    }
}

/// A good request, and one of each class. The key that is known is the world's user's; nobody has the other.
fn requests(runtime: &Runtime, world: &World) -> Outcome<(Parts, [Parts; CLASSES.len()])> {
    let id = &world.caller.access_key_id;
    let key = runtime.block_on(async {
        let mut tx = world.server.store.begin();
        AccessKey::load(&mut tx, id).await
    })?;
    let key = key.ok_or("no access key")?;
    let good = signed(id, key.secret.expose())?;
    let unknown: String = id.chars().rev().collect();
    let unknown = format!("AKIA{}", unknown.get(..16).ok_or("a short id")?);
    let (first, last) = (changed(&good, 0)?, changed(&good, 63)?);
    Ok((good, [signed(&unknown, key.secret.expose())?, first, last]))
}

fn signed(id: &str, secret: &str) -> Outcome<Parts> {
    let request = http::Request::post("/")
        .header("host", "127.0.0.1:4566")
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", "TrentService.DescribeKey");
    let (mut head, ()) = request.body(())?.into_parts();
    let credentials = Credentials { access_key_id: id, secret, session_token: None };
    sigv4::sign(&mut head, BODY, &credentials, (REGION, "kms"), SystemClock.wall().secs())?;
    Ok(head)
}

/// The same with another digit at this place of the signature.
fn changed(head: &Parts, at: usize) -> Outcome<Parts> {
    let mut head = head.clone();
    let value = head.headers.get("authorization").ok_or("not signed")?.to_str()?;
    let start = value.find("Signature=").ok_or("not signed")? + "Signature=".len() + at;
    let digit = value.get(start..=start).ok_or("a short signature")?;
    let other = if digit == "0" { "1" } else { "0" };
    let value = format!("{}{other}{}", &value[..start], &value[start + 1..]);
    head.headers.insert("authorization", HeaderValue::from_str(&value)?);
    Ok(head)
}

fn measure(runtime: &Runtime, front: &Front, requests: &[Parts]) -> Outcome<Samples> {
    let mut samples = Samples::default();
    for counted in [false, true] {
        let each = if counted { SAMPLES } else { WARM_UP };
        for class in shuffled(each) {
            let head = requests.get(class).ok_or("no such class")?.clone();
            let request = incoming(head);
            let (proved, nanos) = runtime.block_on(async {
                let began = now();
                let proved = front.prover(&request).await;
                (proved, began.elapsed().as_nanos() as f64)
            });
            if let Some(principal) = proved {
                return Err(format!("class {class}: it is {}", principal.arn).into());
            }
            if let (true, Some(class)) = (counted, samples.get_mut(class)) {
                class.push(nanos);
            }
        }
    }
    Ok(samples)
}

fn incoming(head: Parts) -> Incoming {
    let peer = ([127, 0, 0, 1], 40_000).into();
    Incoming { head, body: Bytes::from_static(BODY), peer, tls: None, certificate: None }
}

/// So many of each class, in random order.
fn shuffled(each: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..each * CLASSES.len()).map(|n| n % CLASSES.len()).collect();
    let random: &dyn Random = &SystemRandom;
    for at in (1..order.len()).rev() {
        let random = u64::from_be_bytes(random.bytes());
        order.swap(at, (random % (at as u64 + 1)) as usize);
    }
    order
}

/// One bound for all classes: a bound of its own for each would hide what makes one slower.
fn fastest(mut samples: Samples) -> Samples {
    let mut all: Vec<f64> = samples.iter().flatten().copied().collect();
    all.sort_by(f64::total_cmp);
    let bound = all.get(all.len() * KEPT_PERCENT / 100).copied().unwrap_or(f64::INFINITY);
    for class in &mut samples {
        class.retain(|nanos| *nanos < bound);
    }
    samples
}

/// The mean, and the variance of a sample.
fn moments(samples: &[f64]) -> (f64, f64) {
    let count = samples.len() as f64;
    let mean = samples.iter().sum::<f64>() / count;
    let squares = samples.iter().map(|nanos| (nanos - mean).powi(2)).sum::<f64>();
    (mean, squares / (count - 1.0))
}

fn welch(one: &[f64], other: &[f64]) -> f64 {
    let ((here, spread), (there, other_spread)) = (moments(one), moments(other));
    (here - there) / (spread / one.len() as f64 + other_spread / other.len() as f64).sqrt()
}
