# cmake --install: a tree that works from anywhere and may be moved.
#   bin/lockstep                 finds its libraries and its mpirun relative to itself
#   lib/lockstep/                Open MPI and oneDNN, where they came from .deps/; a site's own stay where they are
#   share/lockstep/              example jobs, batch scripts, licences
#   share/man, share/bash-completion
include(GNUInstallDirs)
install(TARGETS lockstep RUNTIME DESTINATION bin)

set(private lib/lockstep)
if(LOCKSTEP_MPI_IN_DEPS)
  # The launcher takes the directory above its own as Open MPI's prefix.
  install(DIRECTORY "${LOCKSTEP_DEPS}/bin/" DESTINATION ${private}/bin USE_SOURCE_PERMISSIONS
          FILES_MATCHING REGEX "/(mpiexec|mpirun|ompirun_wrapper|prte|prted|prterun)$")
  install(DIRECTORY "${LOCKSTEP_DEPS}/lib/openmpi" DESTINATION ${private}/lib USE_SOURCE_PERMISSIONS)
  install(DIRECTORY "${LOCKSTEP_DEPS}/lib/" DESTINATION ${private}/lib USE_SOURCE_PERMISSIONS
          FILES_MATCHING REGEX "/lib(mpi|open-)[^/]*\\.so[.0-9]*$"
          PATTERN python* EXCLUDE PATTERN cmake EXCLUDE PATTERN openmpi EXCLUDE)
  install(DIRECTORY "${LOCKSTEP_DEPS}/share/openmpi" "${LOCKSTEP_DEPS}/share/pmix" "${LOCKSTEP_DEPS}/share/prte"
          DESTINATION ${private}/share)
  install(DIRECTORY "${LOCKSTEP_DEPS}/etc" DESTINATION ${private})
endif()
if(LOCKSTEP_DNNL_IN_DEPS)
  install(DIRECTORY "${LOCKSTEP_DEPS}/lib/" DESTINATION ${private}/lib USE_SOURCE_PERMISSIONS
          FILES_MATCHING REGEX "/libdnnl\\.so\\.[.0-9]*$"
          PATTERN python* EXCLUDE PATTERN cmake EXCLUDE PATTERN openmpi EXCLUDE)
endif()
file(GLOB dependencies "${LOCKSTEP_DEPS}/lib/python*/site-packages/openmpi-*.dist-info"
                       "${LOCKSTEP_DEPS}/lib/python*/site-packages/onednn_cpu_gomp-*.dist-info")
foreach(dependency ${dependencies})
  cmake_path(GET dependency STEM LAST_ONLY name)
  file(GLOB licences "${dependency}/LICENSE*" "${dependency}/licenses/*")
  install(FILES ${licences} DESTINATION share/lockstep/licenses/${name})
endforeach()

install(FILES LICENSE NOTICE DESTINATION share/lockstep)
install(DIRECTORY jobs/ DESTINATION share/lockstep/jobs FILES_MATCHING PATTERN "*.cfg")
install(PROGRAMS slurm/train.sbatch slurm/scaling.sbatch DESTINATION share/lockstep/slurm)
# With the pages that docs/ points at, in the same places beside it, so that its links hold.
file(GLOB_RECURSE pages CONFIGURE_DEPENDS RELATIVE "${CMAKE_SOURCE_DIR}" README.md CHANGELOG.md docs/* data/*.md layers/*.md
     worker/*.md coordinator/*.md jobs/*.md slurm/*.md tests/*.md packaging/*.md)
list(FILTER pages INCLUDE REGEX "\\.(md|svg|csv)$")
foreach(page ${pages} tests/bench/versus_torch.svg)
  cmake_path(GET page PARENT_PATH folder)
  install(FILES "${page}" DESTINATION "share/doc/lockstep/${folder}")
endforeach()
install(FILES jobs/completion.bash DESTINATION share/bash-completion/completions RENAME lockstep)
# The page is what the program says of itself.
install(CODE "execute_process(COMMAND \"${CMAKE_SOURCE_DIR}/jobs/man-page.sh\" \"${CMAKE_BINARY_DIR}/lockstep\"
                              OUTPUT_FILE \"${CMAKE_BINARY_DIR}/lockstep.1\" COMMAND_ERROR_IS_FATAL ANY)")
install(FILES "${CMAKE_BINARY_DIR}/lockstep.1" DESTINATION share/man/man1)
configure_file(packaging/lockstep.lua "${CMAKE_BINARY_DIR}/modulefiles/lockstep/${PROJECT_VERSION}.lua" @ONLY)
install(DIRECTORY "${CMAKE_BINARY_DIR}/modulefiles" DESTINATION share/lockstep)
