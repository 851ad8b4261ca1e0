//! What a Python function is run by, and as whom. Both are looked at when the server starts, and again
//! for each process.
use super::Python;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where programs are looked for, by the server and by functions.
pub const PROGRAMS: &str = "/usr/local/bin:/usr/bin:/bin";
/// Bits of a file's mode.
const EXECUTABLE: u32 = 0o111;

/// A user of the machine and its group, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunsAs {
    pub user: u32,
    pub group: u32,
}

impl Python {
    /// The Python that runs it.
    pub fn program(&self) -> Result<PathBuf, String> {
        let Some(program) = &self.interpreter else {
            let mut places = PROGRAMS.split(':').map(|folder| Path::new(folder).join("python3"));
            let found = places.find(|path| path.is_file());
            return found.ok_or_else(|| format!("interpreter: no python3 in {PROGRAMS}"));
        };
        super::settings::check_file("interpreter", program, super::settings::WRITABLE_BY_OTHERS)?;
        let bad = |what: String| format!("interpreter: {}: {what}", program.display());
        let metadata = std::fs::metadata(program).map_err(|e| bad(e.to_string()))?;
        match metadata.permissions().mode() & EXECUTABLE {
            0 => Err(bad("cannot be run".into())),
            _ => Ok(program.clone()),
        }
    }

    /// Who it runs as; none if the server's own user.
    pub fn runs_as(&self) -> Result<Option<RunsAs>, String> {
        let is_root = rustix::process::geteuid().is_root();
        // Who cannot be read there is not there, and people's names may be in any encoding.
        let users = std::fs::read("/etc/passwd").unwrap_or_default();
        chosen(self.user.as_deref(), is_root, &String::from_utf8_lossy(&users))
    }
}

/// `users`: lines of `/etc/passwd`.
fn chosen(name: Option<&str>, is_root: bool, users: &str) -> Result<Option<RunsAs>, String> {
    let name = match (name, is_root) {
        (None, true) => return Err("user: wanted, as the server runs as root".into()),
        (None, false) => return Ok(None),
        (Some(_), false) => {
            return Err("user: only a server that runs as root can start a function as another \
                        user: leave it out, or run the function behind a url"
                .into());
        }
        (Some(name), true) => name,
    };
    let found = users.lines().find_map(|entry| {
        let mut fields = entry.split(':');
        (fields.next()? == name).then_some(())?;
        let user = fields.nth(1)?.parse().ok()?;
        Some(RunsAs { user, group: fields.next()?.parse().ok()? })
    });
    match found {
        None => Err(format!("user: {name:?} is not in /etc/passwd")),
        Some(RunsAs { user: 0, .. }) => Err(format!("user: {name:?} is root")),
        Some(found) => Ok(Some(found)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "root:x:0:0:root:/:/bin/sh\nbroken\ntoor:x:0:7::/:/bin/sh\n\
                         rotation:x:991:992::/:/usr/sbin/nologin\nodd:x:many:1::/:/bin/sh\n";

    #[test]
    fn root_gives_functions_another_user() {
        let found = chosen(Some("rotation"), true, USERS).unwrap();
        assert_eq!(found, Some(RunsAs { user: 991, group: 992 }));
        for (name, reason) in [
            (None, "user: wanted"),
            (Some("root"), "is root"),
            (Some("toor"), "is root"),
            (Some("rotatio"), "is not in /etc/passwd"),
            (Some("odd"), "is not in /etc/passwd"),
            (Some("broken"), "is not in /etc/passwd"),
            (Some("x"), "is not in /etc/passwd"),
            (Some(""), "is not in /etc/passwd"),
        ] {
            let error = chosen(name, true, USERS).unwrap_err();
            assert!(error.contains(reason), "{name:?}: {error}");
        }
    }

    #[test]
    fn nobody_else_can() {
        assert_eq!(chosen(None, false, USERS), Ok(None));
        for name in ["rotation", "root", "nobody-there"] {
            let error = chosen(Some(name), false, USERS).unwrap_err();
            assert!(error.contains("only a server that runs as root"), "{error}");
        }
    }
}
