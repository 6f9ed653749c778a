#include "runtime/ops/window.h"

#include "tests/ops/op_test.h"

namespace pli::ops {
namespace {

using ir::Dim;
using ir::Dims;
using test::attribute;
using test::ints;

Window window(Shape kernel, std::vector<ir::Attribute> attributes, bool ceil_mode = false) {
  Window result = Window::of(ir::Node{"MaxPool", "", "pool", {}, {}, std::move(attributes), {}}, std::move(kernel));
  result.ceil_mode = ceil_mode;
  return result;
}

TEST(Window, DefaultsAreUnitStrideNoPadding) {
  const Window w = window({3, 2}, {});
  EXPECT_EQ(w.strides, (Shape{1, 1}));
  EXPECT_EQ(w.dilations, (Shape{1, 1}));
  EXPECT_EQ(w.pads_begin, (Shape{0, 0}));
  EXPECT_EQ(w.pads_end, (Shape{0, 0}));
  EXPECT_EQ(w.output_dims({7, 9}), (Dims{5, 8}));
}

TEST(Window, ExplicitPadsAreAllBeginsThenAllEnds) {
  const Window w = window({3, 4}, {ints("pads", {0, 1, 2, 3}), ints("strides", {2, 3}), ints("dilations", {2, 1})});
  EXPECT_EQ(w.pads_begin, (Shape{0, 1}));
  EXPECT_EQ(w.pads_end, (Shape{2, 3}));
  EXPECT_EQ(w.extent(0), 5);
  EXPECT_EQ(w.output_dims({10, 11}), (Dims{4, 4}));  // (10 + 2 - 5) / 2 + 1, (11 + 4 - 4) / 3 + 1
}

TEST(Window, CeilModeKeepsAWindowThatReachesOut) {
  EXPECT_EQ(window({3}, {ints("strides", {2})}).output_dims({4}), Dims{1});
  EXPECT_EQ(window({3}, {ints("strides", {2})}, true).output_dims({4}), Dims{2});
  EXPECT_EQ(window({3}, {ints("strides", {2})}, true).output_dims({2}), Dims{1});  // smaller than the kernel
}

TEST(Window, CeilModeDropsAWindowThatStartsBehindTheInput) {
  // Starts at -1, 1, 3; the third would be at the end of size 3 and its padding.
  const Window w = window({2}, {ints("strides", {2}), ints("pads", {1, 1})}, true);
  EXPECT_EQ(w.output_dims({3}), Dims{2});
  EXPECT_EQ(w.output_dims({4}), Dims{3});
  // PyTorch: MaxPool1d(1, stride=3, ceil_mode=True) on 3 elements gives one.
  EXPECT_EQ(window({1}, {ints("strides", {3})}, true).output_dims({3}), Dims{1});
}

TEST(Window, SameFormsDivideRoundingUp) {
  for (const int64_t size : {1, 2, 5, 6, 7, 224}) {
    for (const int64_t stride : {1, 2, 3}) {
      for (const int64_t kernel : {1, 2, 3, 5}) {
        const std::vector<ir::Attribute> upper{attribute("auto_pad", "SAME_UPPER"), ints("strides", {stride})};
        const std::vector<ir::Attribute> lower{attribute("auto_pad", "SAME_LOWER"), ints("strides", {stride})};
        const int64_t output = (size + stride - 1) / stride;
        const int64_t total = std::max<int64_t>(0, (output - 1) * stride + kernel - size);
        const Shape spatial{size};
        const Window up = window({kernel}, upper);
        EXPECT_EQ(up.output_dims({size}), Dims{output});
        EXPECT_EQ(up.resolved(spatial).pads_begin[0], total / 2);
        EXPECT_EQ(up.resolved(spatial).pads_end[0], total - total / 2);
        const Window down = window({kernel}, lower);
        EXPECT_EQ(down.resolved(spatial).pads_begin[0], total - total / 2);
        EXPECT_EQ(down.resolved(spatial).pads_end[0], total / 2);
      }
    }
  }
}

TEST(Window, SameFormsIgnoreCeilMode) {
  const Window w = window({1}, {attribute("auto_pad", "SAME_UPPER"), ints("strides", {3})}, true);
  EXPECT_EQ(w.output_dims({12}), Dims{4});
  EXPECT_EQ(w.resolved(Shape{12}).output_dims({12}), Dims{4});
}

TEST(Window, ResolvingDoesNotChangeTheOutput) {
  for (const char* form : {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"}) {
    const Window w = window({3, 2}, {attribute("auto_pad", form), ints("strides", {2, 3}), ints("dilations", {1, 2})});
    for (int64_t size = 3; size < 12; ++size) {
      const Shape spatial{size, size + 1};
      const Dims dims{size, size + 1};
      const Window resolved = w.resolved(spatial);
      EXPECT_EQ(resolved.auto_pad, Window::AutoPad::kNotSet);
      EXPECT_EQ(resolved.output_dims(dims), w.output_dims(dims)) << form << " " << size;
    }
  }
}

TEST(Window, ValidIgnoresPadsButRoundsUpInCeilMode) {
  const std::vector<ir::Attribute> attributes{attribute("auto_pad", "VALID"), ints("pads", {1, 1}),
                                              ints("strides", {2})};
  for (const bool ceil_mode : {false, true}) {
    const Window w = window({3}, attributes, ceil_mode);
    EXPECT_EQ(w.output_dims({4}), Dims{ceil_mode ? 2 : 1});
    EXPECT_EQ(w.resolved(Shape{4}).output_dims({4}), Dims{ceil_mode ? 2 : 1});
  }
}

TEST(Window, KeepsASymbolThatStaysTheSame) {
  const Dim height(std::string("height"));
  const Window same = window({3, 3}, {ints("pads", {1, 1, 1, 1}), ints("strides", {1, 2})});
  const Dims out = same.output_dims({height, height});
  EXPECT_EQ(out[0], height);
  EXPECT_FALSE(out[1].known() || out[1].symbolic());
  EXPECT_EQ(window({4}, {attribute("auto_pad", "SAME_LOWER")}).output_dims({height}), Dims{height});
  const Dim valid = window({4}, {attribute("auto_pad", "VALID")}).output_dim(0, height);
  EXPECT_FALSE(valid.known() || valid.symbolic());
}

TEST(Window, RefusesBadAttributes) {
  const auto refused = [](Shape kernel, std::vector<ir::Attribute> attributes, std::string_view why) {
    const Error e = test::error_of([&] { window(std::move(kernel), std::move(attributes)); });
    EXPECT_EQ(e.code(), ErrorCode::kInvalidModel);
    EXPECT_NE(std::string_view(e.what()).find(why), std::string_view::npos) << e.what();
  };
  refused({3, 0}, {}, "kernel_shape 0");
  refused({-3}, {}, "kernel_shape -3");
  refused({3}, {ints("strides", {0})}, "strides 0");
  refused({3}, {ints("strides", {1, 1})}, "strides [1, 1] has 2 elements where 1");
  refused({3}, {ints("dilations", {-1})}, "dilations -1");
  refused({3, 3}, {ints("dilations", {1})}, "dilations [1] has 1 elements where 2");
  refused({3}, {ints("pads", {-1, 0})}, "pads -1");
  refused({3, 3}, {ints("pads", {1, 1})}, "pads [1, 1] has 2 elements where 4");
  refused({3}, {ints("pads", {INT64_MAX, 1})}, "pads");
  refused({INT64_MAX}, {}, "kernel_shape");
  refused({int64_t{1} << 30}, {ints("dilations", {int64_t{1} << 30})}, "reaches too far");
  refused({3}, {attribute("auto_pad", "SAME")}, "auto_pad \"SAME\"");
}

TEST(Window, RefusesInputsThatDoNotFit) {
  const auto refused = [](const Window& w, const Dims& spatial, std::string_view why) {
    const Error e = test::error_of([&] { w.output_dims(spatial); });
    EXPECT_EQ(e.code(), ErrorCode::kInvalidModel);
    EXPECT_NE(std::string_view(e.what()).find(why), std::string_view::npos) << e.what();
  };
  refused(window({3, 3}, {}), {5}, "kernel_shape [3, 3] on an input of 1 spatial");
  refused(window({3}, {}), {2}, "does not fit");
  refused(window({3}, {ints("dilations", {4}), ints("pads", {1, 1})}), {6}, "does not fit");
  refused(window({1}, {}), {0}, "of size 0");
  refused(window({1}, {attribute("auto_pad", "SAME_UPPER")}), {-1}, "of size -1");
  refused(window({1}, {}), {INT64_MAX}, "slide");
}

}  // namespace
}  // namespace pli::ops
