//! The vocabulary of Planner: ids, ETags, entities, time, order hints, limits.
//!
//! Everything here is plain data with total functions. Nothing performs I/O, reads a clock or
//! knows JSON as Microsoft writes it; that is the `wire` layer's.

pub mod time;
