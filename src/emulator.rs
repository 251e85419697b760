//! The embedded Planner service: Graph's Planner protocol on SQLite, served over HTTP.
