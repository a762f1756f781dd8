//! Small programs, each one idea: see the folder `examples`.
