################################################################################
#
# oobd
#
################################################################################

OOBD_VERSION = local
OOBD_SITE = $(realpath $(BR2_EXTERNAL_OOBD_PATH)/..)
OOBD_SITE_METHOD = local
OOBD_DEPENDENCIES = openssl
# Named, for pkg-config is not told of the target here; shared, as the rest of the image.
OOBD_CARGO_ENV = \
	OPENSSL_LIB_DIR=$(STAGING_DIR)/usr/lib \
	OPENSSL_INCLUDE_DIR=$(STAGING_DIR)/usr/include \
	OPENSSL_STATIC=0
OOBD_LICENSE = Apache-2.0
OOBD_LICENSE_FILES = LICENSE
OOBD_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS = \
	--exclude /target --exclude /out --exclude /output --exclude /dl --exclude /build --exclude /ui/node_modules

# A package with the "local" site method has no download step, so the cargo
# infrastructure never vendors for it.  Vendor here, once per Cargo.lock.
define OOBD_VENDOR
	cd $(@D) && \
	if [ ! -f .cargo/config.toml ] && [ ! -d vendor ]; then \
		mkdir -p $(BR_CARGO_HOME) .cargo && \
		$(HOST_MAKE_ENV) CARGO_HOME=$(BR_CARGO_HOME) \
			flock $(BR_CARGO_HOME)/.br-lock \
			cargo vendor --locked VENDOR > .cargo/config.toml; \
	fi
endef
OOBD_PRE_CONFIGURE_HOOKS += OOBD_VENDOR

# The web page is made beforehand, by scripts/build-ui: it needs Node.js and a registry of its own.
define OOBD_INSTALL_PAGE
	if [ ! -f $(@D)/ui/dist/index.html ]; then \
		echo "oobd: there is no web page in ui/dist: run scripts/build-ui first" >&2; \
		exit 1; \
	fi
	mkdir -p $(TARGET_DIR)/usr/share/oobd/ui
	cp -R $(@D)/ui/dist/. $(TARGET_DIR)/usr/share/oobd/ui/
endef
OOBD_POST_INSTALL_TARGET_HOOKS += OOBD_INSTALL_PAGE

$(eval $(cargo-package))
