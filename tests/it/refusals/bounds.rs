//! Every constraint of AWS's models at its bounds, in every place of every request.
use super::shapes::{Case, Verdict, cases, changed, model};
use super::survive;
use crate::world::World;
use claviger::api::SERVICES;
use claviger::wire::{Fault, OperationModel};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

#[tokio::test]
async fn every_constraint_at_its_bounds() {
    let world = World::new().await;
    let nobody = world.nobody().await;
    // By service and kind of case.
    let mut counts = BTreeMap::<(&str, &str), usize>::new();
    for table in SERVICES {
        let (ours, file) = ((table.model)(), model(table.signing_name));
        for entry in table.operations {
            let (service, name) = (table.signing_name, entry.name);
            let operation = ours.operation(name).unwrap();
            let sample = operation.sample_input();
            assert_eq!(operation.check(sample.to_string().as_bytes()), Ok(()), "{name}");
            let cases = cases(&file, name, &sample);
            let none_fits = without_a_fitting_text(operation, &sample, &cases);
            assert_eq!(none_fits, BTreeSet::new(), "{name}");
            for case in &cases {
                let body = changed(&sample, &case.path, case.value.as_ref()).to_string();
                let fits = operation.check(body.as_bytes()).is_ok();
                // A text of the right length may miss the pattern; another one does not.
                let off = case.what == "bound" && case.verdict == Verdict::Fits && !fits;
                // Whoever may do nothing hears of constraints first, too. Root's requests of the
                // right form would be done: keys of every spec, for one.
                let both = [&nobody, &world.root];
                let callers = if case.what == "enum" { &both[..1] } else { &both[..] };
                for who in callers {
                    let fault = survive(&world, who, service, name, body.as_bytes()).await;
                    if !off {
                        judge(case, fits, fault.as_ref(), name);
                    }
                }
                *counts.entry((service, case.what)).or_default() += 1;
            }
        }
    }
    let of_kms: Vec<_> = counts.iter().filter(|((service, _), _)| *service == "kms").collect();
    assert_eq!(format!("{of_kms:?}"), "");
}

fn judge(case: &Case, fits: bool, fault: Option<&Fault>, name: &str) {
    let shown = || format!("{name} {:?} {:?}: {fault:?}", case.path, short(case.value.as_ref()));
    let code = fault.map_or("", |fault| fault.code);
    assert_eq!(fits, case.verdict == Verdict::Fits, "{}", shown());
    match &case.verdict {
        Verdict::Fits => {
            assert!(!["SerializationException", "MalformedInput"].contains(&code), "{}", shown());
        }
        Verdict::Breaks(words) => {
            assert!(code.starts_with("Validation"), "{}", shown());
            assert!(fault.unwrap().message().contains(words), "{} {words}", shown());
        }
        Verdict::WrongType => {
            assert!(["SerializationException", "MalformedInput"].contains(&code), "{}", shown());
        }
    }
}

fn short(value: Option<&Value>) -> String {
    value.map_or("absent".into(), |value| value.to_string().chars().take(80).collect())
}

/// The places where no text of a length at the bounds fits.
fn without_a_fitting_text(
    operation: &OperationModel,
    sample: &Value,
    cases: &[Case],
) -> BTreeSet<String> {
    let mut fitting = BTreeMap::<String, bool>::new();
    for case in cases.iter().filter(|c| c.what == "bound" && c.verdict == Verdict::Fits) {
        let length = case.value.as_ref().and_then(Value::as_str).map(|text| text.chars().count());
        let body = changed(sample, &case.path, case.value.as_ref()).to_string();
        let place = format!("{:?} {length:?}", case.path);
        *fitting.entry(place).or_default() |= operation.check(body.as_bytes()).is_ok();
    }
    fitting.into_iter().filter(|(_, fits)| !fits).map(|(place, _)| place).collect()
}
