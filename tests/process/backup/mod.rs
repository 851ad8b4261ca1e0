//! `claviger backup`, `verify` and `restore`, on a real server with a real token.
mod anchor;
mod broken;
mod killed;
mod large;
mod older;
mod opened;
mod postgresql;
mod restored;
mod support;
