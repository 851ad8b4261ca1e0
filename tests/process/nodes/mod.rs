//! Two and three servers on one PostgreSQL: what one changes the others know within the bound, of two that
//! want the same one wins, and who is cut off from the database answers nothing.
mod at_once;
mod cut_off;
mod life;
mod proxy;
mod staleness;
mod support;
mod work;
