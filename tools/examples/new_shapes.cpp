// A program that embeds Pli: what it costs that an input has a shape that the session has not seen.
// usage: new_shapes MODEL THREADS WIDTH..., where the model has one input of floats, whose last dimension is the width

#include <pli/pli.h>

#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace {

using Clock = std::chrono::steady_clock;

int64_t whole(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 1)
    throw std::runtime_error("\"" + std::string(text) + "\" is not a whole number above 0");
  return number;
}

/// Random numbers in the input's shape: its last dimension is `width`, every other one that the model leaves open 1.
pli::NamedValues random_input(const pli::ValueDescription& input, int64_t width, std::mt19937& random) {
  if (input.dtype != pli::DataType::kFloat32 || input.shape.empty())
    throw std::runtime_error("the model's input is no tensor of floats");
  pli::Shape shape = input.shape;
  for (int64_t& dim : shape)
    if (dim < 0) dim = 1;
  shape.back() = width;
  pli::Tensor image(pli::DataType::kFloat32, shape);
  std::uniform_real_distribution<float> uniform(-0.5f, 0.5f);
  for (float& pixel : image.mutable_data<float>()) pixel = uniform(random);
  pli::NamedValues inputs;
  inputs.add(input.name, std::move(image));
  return inputs;
}

/// Milliseconds.
template <typename Action>
double timed(const Action& action) {
  const auto start = Clock::now();
  action();
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

/// Prints a line for each width: the width, and the milliseconds of compiling for it, the first run and the second.
void print_times(int argc, char** argv) {
  pli::SessionOptions options;
  options.threads = static_cast<int>(whole(argv[2]));
  const pli::Session session = pli::Session::load(argv[1], options);
  if (session.inputs().size() != 1) throw std::runtime_error("the model has more inputs than one, or none");
  std::mt19937 random(0);
  for (int i = 3; i < argc; ++i) {
    const int64_t width = whole(argv[i]);
    const pli::NamedValues inputs = random_input(session.inputs()[0], width, random);
    const double compile = timed([&] { session.compile(inputs); });
    const double first = timed([&] { session.run(inputs); });
    const double again = timed([&] { session.run(inputs); });
    std::printf("%lld %.4f %.4f %.4f\n", static_cast<long long>(width), compile, first, again);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: new_shapes MODEL THREADS WIDTH...\n");
    return 2;
  }
  try {
    print_times(argc, argv);
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "new_shapes: %s\n", e.what());
    return 1;
  }
}
