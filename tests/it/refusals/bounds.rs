//! Every constraint of AWS's models at its bounds, in every place of every request.
use super::shapes::{Case, Step, Verdict, cases, changed, model};
use super::survive;
use super::things::Things;
use crate::world::World;
use claviger::api::SERVICES;
use claviger::wire::{Fault, OperationModel};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

#[tokio::test]
async fn every_constraint_at_its_bounds() {
    let world = World::new().await;
    let things = Things::new(&world).await;
    let nobody = world.nobody().await;
    let mut none_fits = BTreeSet::new();
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
            none_fits.extend(without_a_fitting_text(operation, &sample, &cases));
            let good = things.request(&world, service, name).await;
            for case in &cases {
                let body = changed(&sample, &case.path, case.value.as_ref());
                let fits = operation.check(body.to_string().as_bytes()).is_ok();
                // A text of the right length may miss the pattern; another one does not.
                let off = case.what == "bound" && case.verdict == Verdict::Fits && !fits;
                // Whoever may do nothing hears of constraints first, too. Root's requests of the
                // right form would be done: keys of every spec, for one.
                let both = [&nobody, &world.root];
                let callers = if case.what == "enum" { &both[..1] } else { &both[..] };
                // In a request with every member, which no operation takes, and in a good one.
                for body in [body.clone(), with_member_of(&good, &body, &case.path)] {
                    for who in callers {
                        let body = body.to_string();
                        let fault = survive(&world, who, service, name, body.as_bytes()).await;
                        if !off {
                            judge(case, fits, fault.as_ref(), name);
                        }
                    }
                }
                *counts.entry((service, case.what)).or_default() += 1;
            }
        }
    }
    assert_eq!(none_fits, TOO_SHORT.map(|(name, length)| (name.to_owned(), length)).into());
    let of_kms = counts.into_iter().filter(|((service, _), _)| *service == "kms");
    let of_kms: Vec<_> = of_kms.map(|((_, what), count)| (what, count)).collect();
    let expected =
        [("absent", 531), ("bound", 1880), ("enum", 217), ("pattern", 91), ("type", 1445)];
    assert_eq!(of_kms, expected);
}

/// `good`, with the member of `body` that the path leads through in place of its own.
fn with_member_of(good: &Value, body: &Value, path: &[Step]) -> Value {
    let Some(Step::Member(name)) = path.first() else { panic!("a path begins with a member") };
    let mut good = good.clone();
    match body.get(name) {
        Some(value) => good[name] = value.clone(),
        None => drop(good.as_object_mut().unwrap().remove(name)),
    }
    good
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

/// Lengths that the model allows and its own pattern does not.
const TOO_SHORT: [(&str, usize); 23] = [
    ("AccountAlias", 3),
    ("AddReplicaRegions.Region", 1),
    ("AddReplicaRegions.Region", 2),
    ("Constraints.SourceArn", 20),
    ("Constraints.SourceArn", 21),
    ("GranteeServicePrincipal", 1),
    ("GranteeServicePrincipal", 2),
    ("KeyMaterialDescription", 0),
    ("NewPath", 2),
    ("Path", 2),
    ("PathPrefix", 2),
    ("PrimaryRegion", 1),
    ("PrimaryRegion", 2),
    ("RemoveReplicaRegions", 1),
    ("RemoveReplicaRegions", 2),
    ("ReplicaRegion", 1),
    ("ReplicaRegion", 2),
    ("RetiringServicePrincipal", 1),
    ("RetiringServicePrincipal", 2),
    // `12h` would fit; it is none of the texts that are tried.
    ("RotationRules.Duration", 3),
    ("XksProxyUriPath", 10),
    ("XksProxyVpcEndpointServiceName", 20),
    ("XksProxyVpcEndpointServiceName", 21),
];

/// Members, and lengths at their bounds, of which no text fits.
fn without_a_fitting_text(
    operation: &OperationModel,
    sample: &Value,
    cases: &[Case],
) -> BTreeSet<(String, usize)> {
    let mut fitting = BTreeMap::<(String, usize), bool>::new();
    for case in cases.iter().filter(|c| c.what == "bound" && c.verdict == Verdict::Fits) {
        let Some(text) = case.value.as_ref().and_then(Value::as_str) else { continue };
        let body = changed(sample, &case.path, case.value.as_ref()).to_string();
        let place = (member(&case.path), text.chars().count());
        *fitting.entry(place).or_default() |= operation.check(body.as_bytes()).is_ok();
    }
    fitting.into_iter().filter(|(_, fits)| !fits).map(|(place, _)| place).collect()
}

fn member(path: &[Step]) -> String {
    let members = path.iter().filter_map(|step| match step {
        Step::Member(name) => Some(name.as_str()),
        Step::Element | Step::Entry => None,
    });
    members.collect::<Vec<_>>().join(".")
}
