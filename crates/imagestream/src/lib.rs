//! The rules of image streams, as pure functions over the wire types of `berth-api`: nothing here awaits, reads a clock or
//! knows where objects are stored.
//!
//! A write of a stream flows through these modules in this order:
//!
//! 1. [`spec`]: defaults, which wanted tags changed, generations;
//! 2. [`resolve`]: a wanted tag that points to another tag or image of a stream gets its event in the same request;
//! 3. [`history`]: how an event enters a tag's history, and which aliases follow it;
//! 4. [`usage`]: what a LimitRange counts.
//!
//! Reads: [`view`] builds tags and images as seen through a stream, [`layers`] tells which content a stream gives access to.
//! [`image`] derives what an Image tells about its manifest. [`PullSpec`] and [`name`] are the grammars.

pub mod history;
pub mod image;
pub mod layers;
pub mod name;
mod pull_spec;
pub mod resolve;
pub mod spec;
pub mod usage;
pub mod view;

pub use self::pull_spec::{ParseError, PullSpec};
