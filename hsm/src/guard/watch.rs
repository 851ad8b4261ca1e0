//! The guard's watch: a thread that ends calls past their deadlines and begins probes.

use super::pool::Shared;
use super::state::Told;
use crate::elapsed;
use std::sync::Arc;

pub(super) fn run(shared: &Arc<Shared>) {
    let mut state = shared.state();
    while !state.closed {
        let now = elapsed::now();
        let told = shared.tend(&mut state, now);
        if told.is_empty() {
            state = shared.rest(state, now);
        } else {
            drop(state);
            told.into_iter().for_each(Told::tell);
            state = shared.state();
        }
    }
}
