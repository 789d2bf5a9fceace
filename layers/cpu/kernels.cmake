# Our own kernels are compiled once per instruction set, in files of their own, and chosen at run time.
# Contraction into fused multiply-adds is wanted (-std=c++20 alone turns it off); nothing here may
# assume that numbers are finite, or reorder a sum.
set(kernel_flags -fno-math-errno -fno-trapping-math -ffp-contract=fast)
set_source_files_properties(layers/cpu/kernels_baseline.cpp PROPERTIES
  COMPILE_OPTIONS "${kernel_flags}")
set_source_files_properties(layers/cpu/kernels_avx2.cpp PROPERTIES
  COMPILE_OPTIONS "${kernel_flags};-mavx2;-mfma")
set_source_files_properties(layers/cpu/kernels_avx512.cpp PROPERTIES
  COMPILE_OPTIONS "${kernel_flags};-mavx2;-mfma;-mavx512f;-mavx512dq;-mavx512vl;-mavx512bw;-mprefer-vector-width=512")
