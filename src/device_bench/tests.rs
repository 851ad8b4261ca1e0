//! Whole runs on the software device, and what is made of their figures.
use super::*;
use crate::random::SeededRandom;
use claviger_hsm::{
    BrokenKey, DeviceInfo, Hash, KeyBytes, ResidentId, ResidentKeys, ResidentReport, ResidentSpec,
    SignatureScheme, SoftwareHsm, WrappedKey,
};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

fn software() -> Arc<SoftwareHsm> {
    let device = SoftwareHsm::seeded([7; 32]);
    device.create_root_key(&RootKeyId::new("root")).unwrap();
    Arc::new(device)
}

fn subject(name: &str, hsm: Arc<dyn Hsm>) -> Subject {
    let root = Some(RootKeyId::new("root"));
    let open = move || Ok(Opened { hsm: hsm.clone(), root: root.clone() });
    Subject { name: name.into(), sessions: None, open: Box::new(open) }
}

fn quick(mechanisms: &[Mechanism]) -> Plan {
    let time = Duration::from_millis(2);
    Plan { mechanisms: mechanisms.to_vec(), sizes: vec![32, 4096], threads: vec![1, 3], time }
}

fn run_all(subjects: &[Subject], plan: &Plan) -> Report {
    let random = SeededRandom::new(1);
    run(subjects, plan, &Around { random: &random, progress: &|_| {}, stop: &|| false })
}

#[test]
fn every_mechanism_is_measured_and_nothing_stays() {
    let device = software();
    let before = ResidentId::new("somebody's");
    device.generate(&before, ResidentSpec::Aes256).unwrap();
    let plan = quick(&Mechanism::ALL);
    let report = run_all(&[subject("software", device.clone())], &plan);
    assert_eq!(report.faults(), Vec::<String>::new());
    let cases = &report.devices[0].cases;
    assert_eq!(cases.len(), 4 * 2 + 7);
    for case in cases {
        assert_eq!(case.fault, None, "{case:?}");
        let threads: Vec<usize> = case.points.iter().map(|point| point.threads).collect();
        assert_eq!(threads, [1, 3], "{case:?}");
        for point in &case.points {
            let figures = point.measured.as_ref().unwrap();
            assert!(figures.ops >= point.threads as u64 && figures.ops_per_s > 0.0);
            assert!(figures.p50_us > 0.0 && figures.p50_us <= figures.p99_us);
            assert!(figures.p99_us <= figures.longest_us);
        }
        assert!(case.knee().is_some());
    }
    assert_eq!(device.resident_keys(), Ok(vec![before]));
    assert_eq!(device.root_keys().unwrap().len(), 1);
}

#[test]
fn what_a_killed_run_left_is_swept_and_nobody_elses() {
    let device = software();
    let keep = ["claviger/bench", "claviger/benchmark/1", "x/claviger/bench/1"];
    let sweep = ["claviger/bench/00/1", "claviger/bench/1"];
    for name in keep.iter().chain(&sweep) {
        device.generate(&ResidentId::new(*name), ResidentSpec::Aes256).unwrap();
    }
    run_all(&[subject("software", device.clone())], &quick(&[]));
    let left: Vec<String> =
        device.resident_keys().unwrap().iter().map(|id| id.to_string()).collect();
    assert_eq!(left, keep);
}

#[test]
fn an_interrupted_run_leaves_nothing_and_says_so() {
    let device = software();
    for after in [0, 1, 2, 5, 20] {
        let asked = AtomicUsize::new(0);
        let stop = || asked.fetch_add(1, Ordering::SeqCst) >= after;
        let random = SeededRandom::new(1);
        let around = Around { random: &random, progress: &|_| {}, stop: &stop };
        let subjects = [subject("a", device.clone()), subject("b", device.clone())];
        let plan = Plan { time: Duration::from_secs(3600), ..quick(&Mechanism::ALL) };
        let report = run(&subjects, &plan, &around);
        assert!(report.interrupted && report.to_string().contains("interrupted"), "{after}");
        assert!(report.devices.len() <= 1 && report.faults().is_empty());
        assert_eq!(device.resident_keys(), Ok(Vec::new()), "{after}");
    }
}

#[test]
fn a_device_that_does_not_open_keeps_no_other_from_its_turn() {
    let away = || HsmError::Unavailable("away".into());
    let closed =
        Subject { name: "hsm".into(), sessions: Some(4), open: Box::new(move || Err(away())) };
    let said = Mutex::new(Vec::new());
    let progress = |text: &str| said.lock().unwrap().push(text.to_owned());
    let random = SeededRandom::new(1);
    let around = Around { random: &random, progress: &progress, stop: &|| false };
    let subjects = [closed, subject("software", software())];
    let report = run(&subjects, &quick(&[Mechanism::Random]), &around);
    assert_eq!(report.faults(), ["hsm (4 sessions): device unavailable: away"]);
    assert_eq!(report.devices[1].cases.len(), 2);
    let table = report.to_string();
    assert!(table.contains("not measured: device unavailable: away"), "{table}");
    let said = said.into_inner().unwrap();
    assert!(said.contains(&"software: random 4 KiB, 3 threads".to_owned()), "{said:?}");
}

/// Wraps only; its calls fail from some call on.
#[derive(Debug)]
struct Poor {
    inner: Arc<SoftwareHsm>,
    fails_from: usize,
    calls: AtomicUsize,
}

impl Hsm for Poor {
    fn info(&self) -> DeviceInfo {
        DeviceInfo { model: "<poor & \u{1}\"cheap\">".into(), ..self.inner.info() }
    }
    fn random(&self, out: &mut [u8]) -> Result<(), HsmError> {
        self.inner.random(out)
    }
    fn create_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.inner.create_root_key(id)
    }
    fn destroy_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.inner.destroy_root_key(id)
    }
    fn root_keys(&self) -> Result<Vec<RootKeyId>, HsmError> {
        self.inner.root_keys()
    }
    fn check_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.inner.check_root_key(id)
    }
    fn wrap(&self, root: &RootKeyId, key: &KeyBytes, aad: &[u8]) -> Result<WrappedKey, HsmError> {
        if self.calls.fetch_add(1, Ordering::SeqCst) >= self.fails_from {
            return Err(HsmError::Unavailable("worn out".into()));
        }
        self.inner.wrap(root, key, aad)
    }
    fn unwrap(&self, wrapped: &WrappedKey, aad: &[u8]) -> Result<KeyBytes, HsmError> {
        self.inner.unwrap(wrapped, aad)
    }
}

#[test]
fn what_a_device_cannot_do_is_said_and_the_rest_is_measured() {
    let poor = Poor { inner: software(), fails_from: usize::MAX, calls: AtomicUsize::new(0) };
    let all = quick(&Mechanism::ALL);
    let report = run_all(&[subject("poor", Arc::new(poor))], &all);
    let measured: Vec<&CaseReport> =
        report.devices[0].cases.iter().filter(|case| case.fault.is_none()).collect();
    let names: Vec<String> = measured.iter().map(|case| case.case.to_string()).collect();
    assert_eq!(names, ["random 32 B", "random 4 KiB", "wrap", "unwrap"]);
    assert_eq!(report.faults(), Vec::<String>::new());
    assert!(report.to_string().contains("poor: device cannot do this: it keeps no keys"));

    let mut without = subject("software", software());
    let hsm: Arc<dyn Hsm> = software();
    without.open = Box::new(move || Ok(Opened { hsm: hsm.clone(), root: None }));
    let report = run_all(&[without], &quick(&[Mechanism::Wrap]));
    let fault = report.devices[0].cases[0].fault.clone().unwrap();
    assert!(fault.contains("no root key") && fault.contains("claviger init"), "{fault}");
}

#[test]
fn calls_that_fail_are_no_figures() {
    let poor = Poor { inner: software(), fails_from: 3, calls: AtomicUsize::new(0) };
    let report = run_all(&[subject("poor", Arc::new(poor))], &quick(&[Mechanism::Wrap]));
    let case = &report.devices[0].cases[0];
    let last = case.points.last().unwrap();
    assert_eq!(last.measured, Err("device unavailable: worn out".into()));
    assert_eq!(case.knee(), case.points.first().filter(|p| p.rate().is_some()).map(|_| 1));
    let table = report.to_string();
    assert!(table.contains("failed") && table.contains("poor: device unavailable: worn out"));
}

/// A device whose keys cannot be destroyed.
#[derive(Debug)]
struct Sticky(Arc<SoftwareHsm>);

impl Hsm for Sticky {
    fn info(&self) -> DeviceInfo {
        self.0.info()
    }
    fn random(&self, out: &mut [u8]) -> Result<(), HsmError> {
        self.0.random(out)
    }
    fn create_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.0.create_root_key(id)
    }
    fn destroy_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.0.destroy_root_key(id)
    }
    fn root_keys(&self) -> Result<Vec<RootKeyId>, HsmError> {
        self.0.root_keys()
    }
    fn check_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.0.check_root_key(id)
    }
    fn wrap(&self, root: &RootKeyId, key: &KeyBytes, aad: &[u8]) -> Result<WrappedKey, HsmError> {
        self.0.wrap(root, key, aad)
    }
    fn unwrap(&self, wrapped: &WrappedKey, aad: &[u8]) -> Result<KeyBytes, HsmError> {
        self.0.unwrap(wrapped, aad)
    }
    fn resident(&self) -> Option<&dyn ResidentKeys> {
        Some(self)
    }
}

impl ResidentKeys for Sticky {
    fn specs(&self) -> Vec<ResidentSpec> {
        self.0.specs()
    }
    fn generate(&self, id: &ResidentId, spec: ResidentSpec) -> Result<Option<Vec<u8>>, HsmError> {
        self.0.generate(id, spec)
    }
    fn check(&self, id: &ResidentId, public: Option<&[u8]>) -> Result<ResidentReport, HsmError> {
        self.0.check(id, public)
    }
    fn destroy(&self, _: &ResidentId) -> Result<(), HsmError> {
        Err(HsmError::Refused("it stays".into()))
    }
    fn resident_keys(&self) -> Result<Vec<ResidentId>, HsmError> {
        self.0.resident_keys()
    }
    fn broken(&self) -> Result<Vec<BrokenKey>, HsmError> {
        self.0.broken()
    }
    fn encrypt(&self, id: &ResidentId, text: &KeyBytes, aad: &[u8]) -> Result<Vec<u8>, HsmError> {
        self.0.encrypt(id, text, aad)
    }
    fn decrypt(&self, id: &ResidentId, sealed: &[u8], aad: &[u8]) -> Result<KeyBytes, HsmError> {
        self.0.decrypt(id, sealed, aad)
    }
    fn sign(
        &self,
        id: &ResidentId,
        scheme: SignatureScheme,
        digest: &[u8],
    ) -> Result<Vec<u8>, HsmError> {
        self.0.sign(id, scheme, digest)
    }
    fn mac(&self, id: &ResidentId, hash: Hash, message: &[u8]) -> Result<Vec<u8>, HsmError> {
        self.0.mac(id, hash, message)
    }
    fn decrypt_oaep(&self, id: &ResidentId, h: Hash, text: &[u8]) -> Result<KeyBytes, HsmError> {
        self.0.decrypt_oaep(id, h, text)
    }
    fn agree(&self, id: &ResidentId, peer: &[u8]) -> Result<KeyBytes, HsmError> {
        self.0.agree(id, peer)
    }
}

#[test]
fn a_device_that_keeps_keys_of_the_run_is_told_of() {
    let sticky = subject("sticky", Arc::new(Sticky(software())));
    let report = run_all(&[sticky], &quick(&[Mechanism::HmacSha256]));
    let faults = report.faults();
    assert!(faults.len() == 1 && faults[0].contains("may be left in it"), "{faults:?}");
    // The figures are shown all the same.
    assert!(report.devices[0].cases[0].points[0].rate().is_some());
}

fn figures(ops_per_s: f64) -> Figures {
    Figures { ops: 9, ops_per_s, p50_us: 12.34, p99_us: 5678.0, longest_us: 1e4 }
}

fn made(rates: &[(usize, Option<f64>)]) -> CaseReport {
    let points = rates.iter().map(|(threads, rate)| Point {
        threads: *threads,
        measured: rate.map(figures).ok_or_else(|| "gone".to_owned()),
    });
    let case = Case { mechanism: Mechanism::Wrap, size: None };
    CaseReport { case, fault: None, points: points.collect() }
}

#[test]
fn the_knee_is_the_fewest_threads_that_are_nearly_the_best() {
    for (rates, knee) in [
        (vec![(1, Some(10.0)), (2, Some(20.0)), (4, Some(39.0)), (8, Some(40.0))], Some(4)),
        (vec![(1, Some(10.0)), (2, Some(9.0)), (4, Some(8.0))], Some(1)),
        (vec![(1, Some(95.0)), (2, Some(100.0))], Some(1)),
        (vec![(1, Some(94.9)), (2, Some(100.0))], Some(2)),
        (vec![(1, None), (2, Some(3.0)), (4, None)], Some(2)),
        (vec![(8, Some(40.0)), (4, Some(40.0))], Some(4)),
        (vec![(1, None)], None),
        (vec![], None),
    ] {
        assert_eq!(made(&rates).knee(), knee, "{rates:?}");
    }
}

#[test]
fn json_table_and_picture_say_the_same() {
    let poor = Poor { inner: software(), fails_from: usize::MAX, calls: AtomicUsize::new(0) };
    let subjects = [subject("software", software()), subject("po<or", Arc::new(poor))];
    let mut report = run_all(&subjects, &quick(&Mechanism::ALL));
    report.devices[0].cases[2] = made(&[(1, Some(1234.0)), (2, Some(5000.0))]);
    let json = report.json().unwrap();
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["devices"][0]["cases"][2]["knee"], 2);
    assert_eq!(value["devices"][0]["cases"][2]["mechanism"], "wrap");
    assert_eq!(value["devices"][0]["cases"][2]["points"][0]["measured"]["Ok"]["p50_us"], 12.34);
    let again: Report = serde_json::from_str(&json).unwrap();
    assert_eq!(again.devices[0].cases[2], report.devices[0].cases[2]);

    let table = report.to_string();
    let row = table.lines().find(|line| line.contains("5000")).unwrap();
    assert!(
        row.trim_start().starts_with("2 ") && row.contains("5000       12.3       5678 *"),
        "{row}"
    );

    let svg = report.svg().unwrap();
    let picture = roxmltree::Document::parse(&svg).unwrap();
    let of = |name: &str| picture.descendants().filter(|n| n.has_tag_name(name)).count();
    let texts: Vec<&str> = picture.descendants().filter_map(|node| node.text()).collect();
    for mechanism in Mechanism::ALL {
        assert!(texts.contains(&mechanism.name()), "{mechanism}");
    }
    assert!(
        texts.iter().any(|text| text.starts_with("po<or: claviger <poor & \u{fffd}\"cheap\">"))
    );
    assert!(
        texts.iter().any(|text| text.contains("wrap: 5000 calls a second by 2 threads, the knee"))
    );
    // A line for each case that has figures, and a point for each figure.
    let cases = || report.devices.iter().flat_map(|device| &device.cases);
    assert_eq!(of("circle"), cases().flat_map(|case| &case.points).count());
    assert!(svg.contains("prefers-color-scheme: dark"));
    for circle in picture.descendants().filter(|node| node.has_tag_name("circle")) {
        let at = |name| circle.attribute(name).unwrap().parse::<f64>().unwrap();
        assert!((0.0..=450.0).contains(&at("cx")) && (0.0..=270.0).contains(&at("cy")));
    }
}

/// However many numbers of threads there are, those that are written stand apart.
#[test]
fn numbers_on_the_axis_do_not_run_into_each_other() {
    let mut plan = quick(&[Mechanism::Random]);
    plan.sizes = vec![32];
    plan.threads = (1..=16).collect();
    let svg = run_all(&[subject("software", software())], &plan).svg().unwrap();
    let picture = roxmltree::Document::parse(&svg).unwrap();
    let is_tick = |node: &roxmltree::Node<'_, '_>| {
        node.attribute("class") == Some("tick") && node.attribute("text-anchor") == Some("middle")
    };
    let ticks: Vec<(f64, usize)> = picture
        .descendants()
        .filter(is_tick)
        .filter_map(|node| {
            let at = node.attribute("x").unwrap().parse().unwrap();
            Some((at, node.text()?.parse().ok()?))
        })
        .collect();
    assert!(ticks.len() > 4 && ticks[0].1 == 1, "{ticks:?}");
    for pair in ticks.windows(2) {
        assert!(pair[1].0 - pair[0].0 >= 20.0, "{ticks:?}");
    }
}

#[test]
fn a_picture_of_nothing_is_one() {
    let report = run_all(&[], &quick(&[]));
    roxmltree::Document::parse(&report.svg().unwrap()).unwrap();
    assert!(report.to_string().contains("claviger "));
}
