//! Scratch: the project's tests/it has its own main.
#[cfg(test)]
mod vectors;
