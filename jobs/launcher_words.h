#pragma once
#include <string>
#include <string_view>

namespace lockstep {

/// Takes out of mpirun's stderr what says nothing new: Open MPI puts boxes, between lines of dashes, around "MPI_ABORT was
/// invoked" and "prterun has exited" when a rank ends with an error that it has reported, or with 75. Boxes about
/// anything else (a rank that was killed, a node that was lost, no slots) pass unchanged. Everything outside of boxes passes at once,
/// line or not.
class LauncherWords {
 public:
  /// Returns what of `text`, and of what was held back before, is to be shown.
  std::string pass(std::string_view text);

  /// At the end: what is still held back.
  std::string rest();

 private:
  void end_line(std::string& shown);

  std::string line_;  // begun, and perhaps the edge of a box
  std::string box_;   // from its edge on
  bool in_box_ = false;
  bool plain_ = false;  // the line is none of a box: its beginning has been shown
};

}  // namespace lockstep
