//! The libraries of TPMs write what goes wrong to standard error, several lines for each key that is
//! refused, unless their environment says that they should not. They read it when they are loaded, and a
//! process cannot change its own safely: so the program starts itself anew, with it, before it does
//! anything.
use crate::config::Config;
use claviger_hsm::tpm::QUIET;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Starts the program anew if a TPM is configured and the operator has not said what its libraries should
/// write. The process keeps its number, its arguments and its open files. Where that cannot be done all
/// goes on as it is: with more lines on standard error.
pub(super) fn tpm_libraries(config: &Config) {
    let (variable, value) = QUIET;
    let has_tpm = config.all_devices().iter().any(|section| section.tpm.is_some());
    if !has_tpm || std::env::var_os(variable).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    let error = command.args(arguments).env(variable, value).exec();
    super::tell(format_args!(
        "claviger: warning: cannot start anew with {variable}={value}: {error}"
    ));
}
