//! Test an app that sends mail, or a backend that carries it.
