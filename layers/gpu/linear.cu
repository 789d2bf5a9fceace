#include "layers/gpu/linear.h"

#include "layers/gpu/kernels.cuh"

namespace lockstep::gpu {

namespace {

/// Column-major C [m,n] = op(A) op(B) + beta*C.
struct Product {
  cublasOperation_t a_op, b_op;
  int m, n, k;
  const float* a;
  int lda;
  const float* b;
  int ldb;
  float beta;
  float* c;
  int ldc;
};

void multiply(const Queue& queue, const std::string& name, bool tf32, const Product& p) {
  const std::string where = name + " (product " + std::to_string(p.m) + "x" + std::to_string(p.n) +
                            "x" + std::to_string(p.k) + ")";
  const float one = 1;
  check(cublasSetMathMode(queue.cublas(), tf32 ? CUBLAS_TF32_TENSOR_OP_MATH : CUBLAS_DEFAULT_MATH),
        "cublasSetMathMode", where);
  check(cublasSgemm(queue.cublas(), p.a_op, p.b_op, p.m, p.n, p.k, &one, p.a, p.lda, p.b, p.ldb,
                    &p.beta, p.c, p.ldc),
        "cublasSgemm", where);
}

}  // namespace

void linear_forward(const Queue& queue, const std::string& name, const LinearShape& s,
                    const float* src, const float* weights, const float* bias, float* dst) {
  if (bias) {
    const int out = s.out;
    for_each(queue, "linear bias", static_cast<std::size_t>(s.images) * out,
             [=] __device__(std::size_t i) { dst[i] = bias[i % out]; });
  }
  multiply(queue, name, s.tf32,
           {CUBLAS_OP_T, CUBLAS_OP_N, s.out, s.images, s.in, weights, s.in, src, s.in,
            bias ? 1.0f : 0.0f, dst, s.out});
}

void linear_backward_data(const Queue& queue, const std::string& name, const LinearShape& s,
                          const float* diff_dst, const float* weights, float* diff_src) {
  multiply(queue, name, s.tf32,
           {CUBLAS_OP_N, CUBLAS_OP_N, s.in, s.images, s.out, weights, s.in, diff_dst, s.out, 0.0f,
            diff_src, s.in});
}

void linear_backward_weights(const Queue& queue, const std::string& name, const LinearShape& s,
                             const float* src, const float* diff_dst, bool first,
                             float* weight_gradient, float* bias_gradient) {
  multiply(queue, name, s.tf32,
           {CUBLAS_OP_N, CUBLAS_OP_T, s.in, s.out, s.images, src, s.in, diff_dst, s.out,
            first ? 0.0f : 1.0f, weight_gradient, s.in});
  if (!bias_gradient) return;
  const int images = s.images, out = s.out;
  for_each(queue, "linear bias gradient", out, [=] __device__(std::size_t o) {
    double sum = 0;
#pragma unroll 8
    for (int i = 0; i < images; ++i) sum += diff_dst[static_cast<std::size_t>(i) * out + o];
    bias_gradient[o] = first ? static_cast<float>(sum) : bias_gradient[o] + static_cast<float>(sum);
  });
}

}  // namespace lockstep::gpu
