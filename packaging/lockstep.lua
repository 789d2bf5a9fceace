-- Environment module of lockstep: module use TREE/share/lockstep/modulefiles && module load lockstep
help([[lockstep trains deep residual networks on CPU clusters; see: lockstep --help, man lockstep]])
whatis("Name: lockstep")
whatis("Version: @PROJECT_VERSION@")
whatis("Description: distributed training of deep residual networks on CPU clusters")

-- This file is TREE/share/lockstep/modulefiles/lockstep/VERSION.lua: the tree may be moved.
local tree = pathJoin(myFileName():match("^(.*)/[^/]+$"), "../../../..")
prepend_path("PATH", pathJoin(tree, "bin"))
prepend_path("MANPATH", pathJoin(tree, "share/man"))
prepend_path("XDG_DATA_DIRS", pathJoin(tree, "share"))  -- bash completion
