//! The helper process of this crate's tests. The server is its own helper.

fn main() {
    claviger_hsm::worker::run_child()
}
