#pragma once
// The text of all kernels, included once by each of kernels_{baseline,avx2,avx512}.cpp, which set
// LOCKSTEP_ISA (the namespace and the table's name) and LOCKSTEP_VECTOR_WIDTH (floats per
// register). No standard C++ header and no inline member function of ours may be called in here:
// their object code would be shared with files compiled for another instruction set
// (kernels_tables.h).
#include "layers/cpu/kernels_activation.h"
#include "layers/cpu/kernels_elementwise.h"
#include "layers/cpu/kernels_norm.h"
#include "layers/cpu/kernels_pool.h"
#include "layers/cpu/kernels_reduce.h"
#include "layers/cpu/kernels_resize.h"
#include "layers/cpu/kernels_rows.h"
#include "layers/cpu/kernels_tables.h"
#include "layers/cpu/kernels_winograd.h"

#define LOCKSTEP_STRING_OF(text) #text
#define LOCKSTEP_STRING(macro) LOCKSTEP_STRING_OF(macro)

namespace lockstep::cpu::LOCKSTEP_ISA {

template <class T>
constexpr StoredKernels<T> kStored = Activations::with<T>({
    .channel_sums = channel_sums<T>,
    .norm_apply = norm_apply<T>,
    .norm_backward_sums = norm_backward_sums<T>,
    .norm_backward_data = norm_backward_data<T>,
    .factors_backward = factors_backward<T>,
    .layer_norm = layer_norm<T>,
    .layer_norm_backward = layer_norm_backward<T>,
    .add = add<T>,
    .add_floats = add_floats<T>,
    .accumulate = accumulate<T>,
    .scale = scale<T>,
    .lerp = lerp<T>,
    .lerp_backward = lerp_backward<T>,
    .max_pool = max_pool<T>,
    .max_pool_backward = max_pool_backward<T>,
    .average_pool = average_pool<T>,
    .average_pool_backward = average_pool_backward<T>,
    .upsample = upsample<T>,
    .upsample_backward = upsample_backward<T>,
    .global_average = global_average<T>,
    .global_average_backward = global_average_backward<T>,
    .channel_scale = channel_scale<T>,
    .channel_scale_backward_data = channel_scale_backward_data<T>,
    .channel_scale_backward_gate = channel_scale_backward_gate<T>,
    .image_products = image_products<T>,
});

constinit const Kernels kTable = {
    .name = LOCKSTEP_STRING(LOCKSTEP_ISA),
    .width = kWidth,
    .f32 = kStored<float>,
    .bf16 = kStored<Bf16>,
    .softmax_backward = softmax_backward,
    .round_to_bf16 = round_to_bf16,
    .accumulate = accumulate<float>,
    .winograd_weights = winograd_weights,
    .winograd_convolve = winograd_convolve,
    .winograd_weight_gradient = winograd_weight_gradient,
    .sum_of_squares = sum_of_squares,
    .sgd = sgd,
    .adamw = adamw,
};

}  // namespace lockstep::cpu::LOCKSTEP_ISA
