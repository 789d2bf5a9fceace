# Our own kernels are compiled once per instruction set, in files of their own, and chosen at run time.
