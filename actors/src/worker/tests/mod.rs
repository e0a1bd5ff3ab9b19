//! A whole worker on a fake machine and paused time: what its callers see, and what is left on the machine.

mod attach;
mod claims;
mod crash;
mod create;
mod drivers;
mod egress;
mod end;
mod identities;
mod panics;
mod pools;
mod profiles;
mod screenshots;
mod shared_screen;
mod start_url;
mod viewers;
