//! TLS to the database: what the secret says, whom the function trusts, what the server offers.
use super::engine::BOTH;
use super::{Engine, Rotating};
use crate::databases::{mariadb, postgres, stranger};
use claviger::rotation::FailureKind;
use serde_json::{Value, json};

async fn secret_of(rotating: &Rotating, engine: Engine, user: &str, ssl: Value) -> String {
    let mut value = engine.value(user, "first");
    value["ssl"] = ssl;
    rotating.secret("s", &value).await
}

/// A user that is let in over TLS only.
async fn user_with_tls_only(engine: Engine) -> String {
    let name = engine.user().await;
    match engine {
        Engine::Postgres => {
            let role = "DO $$ BEGIN CREATE ROLE tls_only; EXCEPTION WHEN others THEN NULL; END $$";
            postgres().execute(role).await;
            postgres().execute(&format!("GRANT tls_only TO {name}")).await;
        }
        Engine::MariaDb => {
            mariadb().execute(&[&format!("ALTER USER '{name}'@'%' REQUIRE SSL")]).await;
        }
    }
    name
}

#[tokio::test]
async fn with_the_right_authority_all_goes_over_tls() {
    for engine in BOTH {
        // Said in the secret, as AWS writes it or as text, or by the operator alone.
        for ssl in [json!(true), json!("True"), Value::Null] {
            let rotating = Rotating::with_ca("single-user", Some(engine.ca_file())).await;
            let name = user_with_tls_only(engine).await;
            let secret = secret_of(&rotating, engine, &name, ssl.clone()).await;
            rotating.rotate(&secret).await.unwrap();
            // Still good: `ssl` is a member like any other.
            assert_eq!(rotating.value(&secret, "AWSCURRENT").await["ssl"], ssl);
        }
    }
}

#[tokio::test]
async fn another_authoritys_certificate_is_refused() {
    let files = tempfile::tempdir().unwrap();
    let ca_file = files.path().join("ca.pem");
    std::fs::write(&ca_file, stranger()).unwrap();
    for engine in BOTH {
        for ssl in [json!(true), Value::Null] {
            let rotating = Rotating::with_ca("single-user", Some(&ca_file)).await;
            let name = engine.user().await;
            let secret = secret_of(&rotating, engine, &name, ssl).await;
            let failure = rotating.rotate(&secret).await.unwrap_err();
            assert_eq!(failure.kind, FailureKind::Lasting, "{failure}");
            let wanted = "invalid peer certificate: UnknownIssuer";
            assert!(failure.message.contains(wanted), "{engine:?}: {failure}");
            assert!(engine.lets_in(&name, "first").await);
        }
    }
}

#[tokio::test]
async fn the_certificate_is_one_of_the_host() {
    for engine in BOTH {
        let rotating = Rotating::with_ca("single-user", Some(engine.ca_file())).await;
        let name = engine.user().await;
        let mut value = engine.value(&name, "first");
        value["ssl"] = json!(true);
        // Loopback too, and listened on, but not what the certificate says.
        value["host"] = json!("localhost");
        let secret = rotating.secret("s", &value).await;
        let failure = rotating.rotate(&secret).await.unwrap_err();
        let wanted = "invalid peer certificate: certificate not valid for name";
        assert!(failure.message.contains(wanted), "{engine:?}: {failure}");
    }
}

/// As AWS's functions: with nothing said, TLS is tried and gone without.
#[tokio::test]
async fn where_nothing_is_said_it_is_gone_without() {
    for engine in BOTH {
        let rotating = Rotating::with("single-user").await;
        let name = engine.user().await;
        let secret = rotating.secret("s", &engine.value(&name, "first")).await;
        rotating.rotate(&secret).await.unwrap();
        // But not where the secret says that it must be.
        let rotating = Rotating::with("single-user").await;
        let name = engine.user().await;
        let secret = secret_of(&rotating, engine, &name, json!(true)).await;
        let failure = rotating.rotate(&secret).await.unwrap_err();
        assert!(failure.message.contains("TLS with 127.0.0.1"), "{failure}");
    }
}

#[tokio::test]
async fn where_the_secret_says_none_there_is_none() {
    for engine in BOTH {
        let rotating = Rotating::with_ca("single-user", Some(engine.ca_file())).await;
        let name = user_with_tls_only(engine).await;
        let secret = secret_of(&rotating, engine, &name, json!(false)).await;
        let failure = rotating.rotate(&secret).await.unwrap_err();
        assert!(failure.message.contains("Unable to log into database"), "{failure}");
        let name = engine.user().await;
        let rotating = Rotating::with_ca("single-user", Some(engine.ca_file())).await;
        let secret = secret_of(&rotating, engine, &name, json!("false")).await;
        rotating.rotate(&secret).await.unwrap();
    }
}
