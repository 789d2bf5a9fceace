# lockstep_gpu: CUDA kernels, cuDNN and cuBLAS; only with LOCKSTEP_GPU=ON (cmake --preset gpu).
# The toolkit is that of .deps/cuda (make deps-gpu), or a site's own: CUDACXX, and -DLOCKSTEP_CUDNN_ROOT=...
file(GLOB cuda_packages "${LOCKSTEP_DEPS}/cuda/lib/python3*/site-packages/nvidia")
if(cuda_packages AND NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  set(CMAKE_CUDA_COMPILER "${cuda_packages}/cu13/bin/nvcc")
endif()
set(LOCKSTEP_CUDNN_ROOT "${cuda_packages}/cudnn" CACHE PATH "Where include/cudnn.h and lib/libcudnn.so.9 are")
set(LOCKSTEP_CUBLAS_ROOT "${cuda_packages}/cu13" CACHE PATH "Where include/cublas_v2.h and lib/libcublas.so.13 are")
if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real)
endif()
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
set(CMAKE_CUDA_FLAGS "${CMAKE_CUDA_FLAGS} -L${LOCKSTEP_CUBLAS_ROOT}/lib")
enable_language(CUDA)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc 13 has it
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
endif()
find_library(LOCKSTEP_CUDNN NAMES libcudnn.so.9 PATHS "${LOCKSTEP_CUDNN_ROOT}/lib" NO_DEFAULT_PATH REQUIRED)
find_library(LOCKSTEP_CUBLAS NAMES libcublas.so.13 PATHS "${LOCKSTEP_CUBLAS_ROOT}/lib" NO_DEFAULT_PATH REQUIRED)
find_library(LOCKSTEP_CUBLASLT NAMES libcublasLt.so.13 PATHS "${LOCKSTEP_CUBLAS_ROOT}/lib" NO_DEFAULT_PATH REQUIRED)

file(GLOB gpu_sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/layers/gpu/*.cu" "${CMAKE_SOURCE_DIR}/layers/gpu/*.cpp")
add_library(lockstep_gpu STATIC ${gpu_sources})
target_include_directories(lockstep_gpu PUBLIC "${CMAKE_SOURCE_DIR}")
target_include_directories(lockstep_gpu SYSTEM PUBLIC "${LOCKSTEP_CUDNN_ROOT}/include"
                           "${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES}" "${LOCKSTEP_CUBLAS_ROOT}/include")
target_compile_options(lockstep_gpu PRIVATE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wshadow -Werror>
  $<$<COMPILE_LANGUAGE:CUDA>:--extended-lambda --expt-relaxed-constexpr -Werror all-warnings -Xcompiler=-Wall,-Wextra>)
target_link_libraries(lockstep_gpu PUBLIC "${LOCKSTEP_CUDNN}" "${LOCKSTEP_CUBLAS}" "${LOCKSTEP_CUBLASLT}"
                      ${CMAKE_DL_LIBS} Threads::Threads rt)
