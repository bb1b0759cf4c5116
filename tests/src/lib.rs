//! The harness of Tollgate's tests.
