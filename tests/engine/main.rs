//! Tests of the engine as a whole, through the public face and the storage seam. One program, so that they are linked once.

mod bulk;
mod checkpoints;
mod corpus;
mod crash;
mod face;
mod layers;
mod misuse;
mod model;
mod newer;
mod original;
mod paths;
mod readers;
mod rot;
mod spec;
mod support;
