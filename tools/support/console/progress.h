#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace pli::tools {

/// One line on standard error that says what is being done, replaced by the next and gone at the end; nothing at all
/// unless standard error is a terminal.
class Progress {
 public:
  explicit Progress(bool wanted);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { clear(); }

  void show(std::string_view what);
  /// The same of work of which the fraction `done` is done, with how long the rest may take; 0 starts the clock.
  void show(std::string_view what, double done);
  void clear();

 private:
  bool active_;
  std::chrono::steady_clock::time_point start_;
  bool shown_ = false;
};

/// "40 %, about 12.0 s left": nothing is said of the rest before a tenth, or a second, has passed.
std::string progress_text(double done, double elapsed_ms);

enum class Colour { kGreen = 32, kRed = 31, kYellow = 33 };

/// `text` in a colour where standard output is a terminal and NO_COLOR is not set; as it is elsewhere.
std::string paint(Colour colour, const std::string& text);

}  // namespace pli::tools
