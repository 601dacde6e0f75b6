//! Several replicas of the real binary share accounts: what each fault costs, counted at the clouds.

mod api_server_away;
mod fixture;
mod gone;
mod rollout;
