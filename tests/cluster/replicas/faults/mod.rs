//! A test for each row of the table.

mod api_server_away;
mod clocks;
mod gone;
mod peers;
mod rollout;
