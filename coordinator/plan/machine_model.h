#pragma once

namespace lockstep {

/// What plans reckon with where nothing was measured: a rank of a few cores of a server, and a network of 40 Gbit/s.
struct MachineModel {
  double flops_per_second = 100e9;        // of a rank's lanes together; a multiply-add counts twice
  double bytes_per_second = 20e9;         // that they read or write
  double update_bytes_per_second = 10e9;  // likewise, of parameters, gradients and momentum
  double seconds_per_byte = 2.5e-10;      // from one rank to another
  double sum_seconds = 15e-6;             // of a small all-reduce, for each doubling of the ranks
};

}  // namespace lockstep
