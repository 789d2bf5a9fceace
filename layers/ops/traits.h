#pragma once

namespace lockstep {

/// A field without a default: a description that leaves it out does not compile.
template <class T>
class Required {
 public:
  constexpr Required(T value) : value_(value) {}
  constexpr operator T() const { return value_; }
  constexpr const T* operator->() const { return &value_; }

 private:
  T value_;
};

enum class Arity { kOne, kTwo, kThree, kTwoOrMore };

/// Whether the op ends a graph (it then has no output value), and what its labels are of.
enum class Labels { kNone, kImages, kPixels };

/// What the op's first parameter is to its kernels.
enum class Weights {
  kNone,
  kPacked,   // a matrix that is packed into a layout of the kernel's own before it is read
  kPlain,    // a matrix that is read as it is stored
  kFactors,  // of channels; the lanes sum their gradient while they make the data's
  kOffsets,  // added: their gradient is the output's
};

/// A convolution's or linear layer's.
constexpr bool is_matrix(Weights weights) {
  return weights == Weights::kPacked || weights == Weights::kPlain;
}

/// Over what a norm takes mean and variance; of batch norm also how running statistics move.
struct Norm {
  enum class Over { kNothing, kBatch, kGroups, kPixel };
  Over over = Over::kNothing;
  float momentum = 0.0f, eps = 0.0f;

  constexpr bool of_batch() const { return over == Over::kBatch; }
  /// Each channel is normalized over pixels, so that a channel may be dead.
  constexpr bool of_channels() const { return over == Over::kBatch || over == Over::kGroups; }
};

/// The part that an op may play in batch norm -> [add] -> [ReLU], which run in one pass over memory.
enum class Fusing { kAlone, kNorm, kAdd, kRelu };

/// What the op draws in training.
struct Draw {
  enum class Of {
    kNothing,
    kElement,
    kImage,
    kStep,
    kDecision,  // an image's gate, by odds that the op reads: only the data say whether it is closed
  };
  Of of = Of::kNothing;
  bool always_on = true;  // it never draws 0
  float keep = 1.0f;      // probability of an image's, a step's branch

  /// It counts in evaluation too: as the mean of what it draws, or as the likelier of the two.
  constexpr bool in_evaluation() const { return of == Of::kStep || of == Of::kDecision; }
  /// A branch that may be left out, of an image or of a step.
  constexpr bool may_be_off() const { return (of == Of::kImage || of == Of::kStep) && !always_on; }
  /// The op does nothing: its output is its input.
  constexpr bool is_identity(bool training) const {
    return of != Of::kNothing && (always_on || (!training && !in_evaluation()));
  }
};

/// How the output is stored where convolutions store theirs as bf16.
enum class Stored { kAsConvolution, kF32, kAsSource };

/// How many calls the op becomes.
enum class Calls {
  kUsual,             // one forward, a backward for every input
  kForwardEachInput,  // a forward for every input too
  kBackwardAtOnce,    // one backward for all inputs
};

/// What planning, placing and watching an op go by, instead of its type.
struct OpTraits {
  Required<const char*> kind;  // "conv2d", as tables and messages print it
  Required<Arity> inputs;
  Required<Labels> labels;
  Required<Weights> weights;
  Required<Norm> norm;
  Required<Fusing> fusing;
  Required<Draw> draw;
  Required<Stored> stored;
  Required<Calls> calls;
};

}  // namespace lockstep
