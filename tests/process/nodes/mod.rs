//! Two and three servers on one PostgreSQL: what one changes the others know within the bound, of two that
//! want the same one wins, who is cut off from the database answers nothing, and what becomes of all of them
//! when the database fails.
mod at_once;
mod cut_off;
mod life;
mod outages;
mod proxy;
mod staleness;
mod support;
mod work;
