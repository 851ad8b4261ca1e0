//! (g) A data directory and a token that do not belong together.
use crate::harness::files;
use crate::setup::{Deployment, Token};
use serde_json::json;

#[test]
fn a_directory_of_another_token_is_refused_and_left_alone() {
    let mut deployment = Deployment::new(true);
    let process = deployment.serve();
    deployment.client(&process).kms("CreateKey", json!({})).unwrap();
    assert_eq!(process.stop().status.code(), Some(0));
    let before = files(&deployment.data());
    let own = deployment.token.take().unwrap();

    // Another token with the same label, blank; then with a root key of its own.
    let blank = Token::new(&deployment.dir.path().join("blank"));
    let other = Deployment::new(true);
    let label = crate::setup::LABEL;
    for (token, has) in [(blank, "no root keys"), (other.token.unwrap(), "the root keys claviger/")]
    {
        deployment.token = Some(token);
        let refused = deployment.try_serve().unwrap_err();
        let parts = ["this is not the token that protects", "deployment.json", label, has];
        refused.assert(5, &parts);
        assert!(refused.stderr.contains("Nothing was changed"), "{refused:#?}");
        deployment.write_config(&deployment.text(&deployment.data()));
        let doctor = deployment.run("doctor");
        doctor.assert(5, &["this is not the token that protects", has]);
        assert!(files(&deployment.data()) == before, "a refused start changed something");
    }
    // Nor the software root.
    deployment.token = None;
    let refused = deployment.try_serve().unwrap_err();
    refused.assert(5, &["software-root.seed", "was not made with"]);
    assert!(files(&deployment.data()) == before, "a refused start changed something");

    deployment.token = Some(own);
    let process = deployment.serve();
    let keys = deployment.client(&process).kms("ListKeys", json!({})).unwrap();
    assert_eq!(keys["Keys"].as_array().unwrap().len(), 1);
}
