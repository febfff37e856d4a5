//! All links of a build on one page. Filled in by `manifold trace report`.
