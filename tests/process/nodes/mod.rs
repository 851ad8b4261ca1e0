//! Two and three servers on one PostgreSQL: what one changes the others know within the bound, of two that
//! want the same one wins, who is cut off from the database answers nothing, and what becomes of all of them
//! when the database fails.
mod at_once;
mod cut_off;
mod encrypted;
mod life;
mod older;
mod outages;
mod proxy;
mod staleness;
mod support;
mod work;

use support::side_by_side;

#[test]
fn nodes_come_and_go() {
    side_by_side(&[
        ("joining", life::a_node_joins_what_it_can_open_and_nothing_else),
        ("removing", life::nodes_are_listed_and_one_that_is_removed_ends_for_good),
        ("a copy", life::a_copy_of_a_nodes_directory_takes_its_place),
        ("roots", life::what_wraps_the_keys_is_changed_on_one_node_and_known_to_all),
        ("a change missed", life::a_node_that_missed_a_change_learns_it_at_its_start),
        ("an older database", older::a_node_that_wrote_nothing_recognises_an_older_database),
        ("TLS", encrypted::the_database_is_reached_over_tls_and_by_its_name),
        ("shares", life::a_node_with_a_device_of_its_own_joins_by_shares),
    ]);
}

#[test]
fn what_all_must_do_one_does() {
    side_by_side(&[
        ("due", work::what_is_due_is_done_once),
        ("left behind", work::what_a_lost_node_did_is_logged_by_another),
        ("live", work::what_a_live_node_did_it_logs_itself),
        ("own", work::a_node_logs_at_its_start_what_is_its_own),
        ("a wrong clock", work::a_node_whose_clock_is_wrong_destroys_nothing),
    ]);
}
