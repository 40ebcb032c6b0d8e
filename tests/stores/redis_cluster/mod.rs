//! Migrations of a Redis Cluster, with the real command: nothing is lost when keys cross nodes, when a slot
//! moves, when a master dies, and when an application writes meanwhile.

mod legacy;
mod migrations;
mod races;
mod refusals;
mod renames;
mod rights;
