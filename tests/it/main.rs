//! The integration tests: one binary, one module a subject.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

// The embedded Planner, request by request, without a network but for one test.
mod emulator_batch;
mod emulator_bodies;
mod emulator_demo;
mod emulator_lists;
mod emulator_objects;
mod emulator_store;
mod emulator_support;
mod emulator_versions;

// The source tree itself: layers, owners, sizes, comments.
mod tidy;
