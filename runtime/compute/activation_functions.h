#pragma once

#include "runtime/compute/vector_math.h"

#include <algorithm>

/// The activations as functors over float and double. NaN gives NaN.
namespace pli::compute {

/// max(x, 0), and x itself where it is NaN.
struct ReluFunction {
  template <class T>
  T operator()(T x) const {
    return x < T(0) ? T(0) : x;
  }
};

/// min(max(x, low), high); a bound that is NaN bounds nothing.
template <class B>
struct ClipFunction {
  B low, high;
  template <class T>
  T operator()(T x) const {
    const T least = static_cast<T>(low);
    const T most = static_cast<T>(high);
    const T raised = x < least ? least : x;
    return raised > most ? most : raised;
  }
};

struct LeakyReluFunction {
  float alpha;
  template <class T>
  T operator()(T x) const {
    return x < T(0) ? static_cast<T>(alpha) * x : x;
  }
};

struct SigmoidFunction {
  template <class T>
  T operator()(T x) const {
    return fast_sigmoid(x);
  }
};

struct TanhFunction {
  template <class T>
  T operator()(T x) const {
    return fast_tanh(x);
  }
};

/// gamma x for x >= 0, else gamma alpha (exp(x / width) - 1): Elu, Selu and Celu.
struct EluFunction {
  float alpha = 1, gamma = 1, width = 1;
  template <class T>
  T operator()(T x) const {
    const T negative = static_cast<T>(alpha) * fast_expm1(std::min(x, T(0)) / static_cast<T>(width));
    return static_cast<T>(gamma) * (x < T(0) ? negative : x);
  }
};

struct HardSigmoidFunction {
  float alpha, beta;
  template <class T>
  T operator()(T x) const {
    return ClipFunction<float>{0, 1}(static_cast<T>(alpha) * x + static_cast<T>(beta));
  }
};

struct HardSwishFunction {
  template <class T>
  T operator()(T x) const {
    return x * ClipFunction<float>{0, 1}(x * T(1.0 / 6) + T(0.5));
  }
};

struct SwishFunction {
  float alpha;
  template <class T>
  T operator()(T x) const {
    return x * fast_sigmoid(static_cast<T>(alpha) * x);
  }
};

struct GeluErfFunction {
  template <class T>
  T operator()(T x) const {
    return fast_gelu(x);
  }
};

/// x (1 + tanh(u)) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3), which is x sigmoid(2 u).
struct GeluTanhFunction {
  template <class T>
  T operator()(T x) const {
    return x * fast_sigmoid(T(2 * 0.79788456080286535588) * (x + T(0.044715) * x * x * x));
  }
};

struct LinearFunction {
  float alpha, beta;
  template <class T>
  T operator()(T x) const {
    return static_cast<T>(alpha) * x + static_cast<T>(beta);
  }
};

/// x tanh(log(1 + exp(x))) = x n / (n + 2) with n = e (e + 2), e = exp(x).
struct MishFunction {
  template <class T>
  T operator()(T x) const {
    const T e = fast_exp(x > T(20) ? T(20) : x);
    const T n = e * (e + T(2));
    return x * (n / (n + T(2)));
  }
};

/// log(1 + exp(x))
struct SoftplusFunction {
  template <class T>
  T operator()(T x) const {
    return (x > T(0) ? x : T(0)) + fast_log1p(fast_exp(-std::abs(x)));
  }
};

struct SoftsignFunction {
  template <class T>
  T operator()(T x) const {
    return x / (T(1) + std::abs(x));
  }
};

struct ThresholdedReluFunction {
  float alpha;
  template <class T>
  T operator()(T x) const {
    return x <= static_cast<T>(alpha) ? T(0) : x;
  }
};

struct ShrinkFunction {
  float bias, lambd;
  template <class T>
  T operator()(T x) const {
    const T inside = x == x ? T(0) : x;
    const T lowered = x > static_cast<T>(lambd) ? x - static_cast<T>(bias) : inside;
    return x < -static_cast<T>(lambd) ? x + static_cast<T>(bias) : lowered;
  }
};

}  // namespace pli::compute
