//! The vocabulary from outside: golden bytes, and what is not canonical.

mod canonical;
mod golden;
mod said;
