//! Several replicas of the real binary share accounts, each account at a simulated cloud of its own, which tells when it was
//! asked; a real Prometheus scrapes all accounts through a stand-in for the Service.
//!
//! What must hold, row by row. Each row's test prints its figures in one line, and `make replicas` runs all of them several times
//! on the optimized program and prints the worst and the median.
//!
//! | row | fault | bound |
//! |---|---|---|
//! | 1 | SIGKILL of one of three | its accounts are collected again within 15 s and an interval; no other account moves |
//! | 2 | crash and restart under the same name | no account moves |
//! | 3 | rollout; 3 replicas, then 5, then 2 | no cycle lost, no scrape failed, an account moves at most twice and is asked for at most twice within an interval |
//! | 4 | one replica cut off from the API server | the others take over within 20 s; it goes on until it sees that; no series twice |
//! | 5 | API server away for all, 60 s | collection and scrapes go on, nothing moves |
//! | 6 | one replica held still for 20 s | on waking it stops at its next renewal |
//! | 7 | wall clocks off by hours | nothing, and a death is found as soon as in row 1 |
//! | 8 | replicas cannot reach each other | collection goes on; a scrape through another than the collector answers 503 with a sentence |
//! | 9 | any move | a later scrape never answers an older body: no counter goes back |

mod account;
mod answers;
mod at_scale;
mod clock;
mod faults;
mod figures;
mod group;
mod prometheus;
mod service;
