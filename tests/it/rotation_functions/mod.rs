//! Functions of one's own: in Python on this machine, and behind HTTP.
mod client;
mod endpoint;
mod history;
mod limits;
mod python;
mod whole;

use crate::world::{ACCOUNT, REGION, World, allow};
use claviger::functions::Function;
use claviger::rotation::{Event, Failure, Invoke, Runner};
use claviger::secrets::rotation::Step;
use claviger::types::SecretText;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub const FUNCTION: &str = include_str!("function.py");
pub const MISBEHAVING: &str = include_str!("misbehaving.py");
const NAME: &str = "rotator";

pub fn function_arn() -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{NAME}")
}

fn role_arn() -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/rotator")
}

/// Who functions run as: tests may run as root.
pub fn user() -> Option<&'static str> {
    is_root().then_some("nobody")
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A world with a registered function, and a directory that functions can read and write.
pub struct Stage {
    pub world: World,
    pub files: tempfile::TempDir,
}

impl Stage {
    /// `section`: what `[[function]]` has beside the ARN and the role.
    pub async fn new(section: impl FnOnce(&Path) -> String) -> Self {
        let files = tempfile::tempdir().unwrap();
        std::fs::set_permissions(files.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let place = files.path().join("place");
        std::fs::create_dir(&place).unwrap();
        std::fs::set_permissions(&place, PermissionsExt::from_mode(0o777)).unwrap();
        let (arn, role) = (function_arn(), role_arn());
        let rest = section(files.path());
        let text = format!("[[function]]\narn = \"{arn}\"\nrole = \"{role}\"\n{rest}");
        let world = World::with_functions(&text).await;
        let stage = Self { world, files };
        stage.role(json!({"Service": "lambda.amazonaws.com"}), &["secretsmanager:*"]).await;
        stage
    }

    /// With a function in Python, of this text, and these variables beside it.
    pub async fn python(text: &str, variables: &[(&str, &str)], rest: &str) -> Self {
        let variables: String =
            variables.iter().map(|(name, value)| format!("{name} = \"{value}\"\n")).collect();
        Self::new(|files| {
            let file = write(files, "function.py", text);
            let user = user().map(|user| format!("user = \"{user}\"\n")).unwrap_or_default();
            let place = files.join("place").display().to_string();
            format!(
                "python = \"{}\"\n{user}{rest}\n[function.environment]\nPLACE = \"{place}\"\n\
                 DATABASE = \"{place}/database\"\nTEST_CLOCK = \"20260101T000000Z\"\n{variables}",
                file.display()
            )
        })
        .await
    }

    /// The function's role, with this trust and these permissions.
    pub async fn role(&self, trusted: Value, actions: &[&str]) {
        let trust = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": trusted, "Action": "sts:AssumeRole"}
        ]});
        let body = json!({"RoleName": "rotator", "AssumeRolePolicyDocument": trust.to_string()});
        self.world.iam("CreateRole", body).await;
        let policy = allow(actions).to_string();
        let body = json!({"RoleName": "rotator", "PolicyName": "p", "PolicyDocument": policy});
        self.world.iam("PutRolePolicy", body).await;
    }

    pub fn function(&self) -> Function {
        self.world.server.functions.find(&function_arn().parse().unwrap()).unwrap().clone()
    }

    pub fn place(&self, name: &str) -> PathBuf {
        self.files.path().join("place").join(name)
    }

    pub async fn runner(&self) -> Runner {
        Runner::new(self.world.server.clone(), Some(self.world.serve().await))
    }

    /// One step of a function that does not care which.
    pub async fn step(&self, runner: &dyn Invoke) -> Result<Option<String>, Failure> {
        runner.invoke(&self.function(), &event()).await
    }
}

/// Waits until what a worker leaves behind has been removed.
pub async fn gone(directory: &str) {
    for _ in 0..1000 {
        if !Path::new(directory).exists() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{directory} is still there");
}

/// A file that anybody may read.
pub fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    path
}

pub fn event() -> Event {
    Event {
        step: Step::CreateSecret,
        secret: format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:a-AbCdEf")
            .parse()
            .unwrap(),
        token: crate::support::token(1),
        rotation_token: SecretText::new("00000000-0000-4000-8000-0000000000aa".into()),
    }
}
