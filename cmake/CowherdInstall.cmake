# cmake --install: the command, libcowherd.a with its headers, and what find_package and pkg-config need.
include(CMakePackageConfigHelpers)

if(TARGET cowherd_main)
  install(TARGETS cowherd_main RUNTIME)
endif()
install(TARGETS cowherd EXPORT cowherd ARCHIVE)
install(DIRECTORY include/cowherd DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/cowherd)
install(EXPORT cowherd FILE cowherd-config.cmake NAMESPACE cowherd:: DESTINATION ${package_folder})
write_basic_package_version_file(cowherd-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/cowherd-config-version.cmake DESTINATION ${package_folder})

# pkg-config finds the prefix from where its file lies, so that a copy installed elsewhere stays usable.
file(RELATIVE_PATH pc_to_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(cowherd.pc.in cowherd.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/cowherd.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

file(GLOB man_pages CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/man/*.[1-8])
foreach(page IN LISTS man_pages)
  string(REGEX MATCH "[1-8]$" section ${page})
  install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()

# The program writes its own completions.
if(TARGET cowherd_main)
  foreach(shell IN ITEMS bash zsh)
    install(CODE "execute_process(COMMAND ${PROJECT_BINARY_DIR}/cowherd completion ${shell}
                                  OUTPUT_FILE ${PROJECT_BINARY_DIR}/completion.${shell} COMMAND_ERROR_IS_FATAL ANY)")
  endforeach()
  install(FILES ${PROJECT_BINARY_DIR}/completion.bash RENAME cowherd
          DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
  install(FILES ${PROJECT_BINARY_DIR}/completion.zsh RENAME _cowherd DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
endif()

if(EXISTS ${PROJECT_SOURCE_DIR}/litmus)
  install(DIRECTORY litmus/ DESTINATION ${CMAKE_INSTALL_DATADIR}/cowherd/litmus)
endif()
