# Runs on a machine with a device, see device_check.sh; without one it says so and ends with 69.
file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/gpu/*.cpp")
add_executable(gpu_ops_test ${sources})
target_link_libraries(gpu_ops_test PRIVATE lockstep_gpu lockstep_reference)
# Elsewhere LD_LIBRARY_PATH names that machine's cuDNN and cuBLAS.
set_target_properties(gpu_ops_test PROPERTIES INSTALL_RPATH "${LOCKSTEP_CUDNN_ROOT}/lib;${LOCKSTEP_CUBLAS_ROOT}/lib"
                      INSTALL_RPATH_USE_LINK_PATH OFF)
add_test(NAME gpu_ops COMMAND gpu_ops_test)
set_tests_properties(gpu_ops PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 69)
