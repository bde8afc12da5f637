//! What a library hands out may go to other threads.

use nodec::{Binder, Diagnostics, Error, Fit, Model, Run, Solution, Trajectory};

/// Compiles only for types that may be sent to and shared between threads.
const fn is_thread_safe<T: Send + Sync>() {}

const _: () = {
    is_thread_safe::<Model>();
    is_thread_safe::<Binder>();
    is_thread_safe::<Run>();
    is_thread_safe::<Solution>();
    is_thread_safe::<Trajectory>();
    is_thread_safe::<Fit>();
    is_thread_safe::<Diagnostics>();
    is_thread_safe::<Error>();
};
