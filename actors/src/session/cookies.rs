//! The cookies of a session's default context, which its browser reads and replaces.

use std::fs;
use std::io;
use std::path::PathBuf;

use actix::prelude::*;
use camofleet_api::cookie::Cookie;
use uuid::Uuid;

use super::actor::Session;
use crate::driver::{InBrowser, NotDone};
use crate::model::error::{Error, Result};
use crate::model::profile::ProfileError;

/// Reads the cookies of the default context.
#[derive(Message)]
#[rtype(result = "Result<Vec<Cookie>>")]
pub(crate) struct ReadCookies;

/// Replaces the cookies of the default context.
#[derive(Message)]
#[rtype(result = "Result<()>")]
pub(crate) struct WriteCookies {
    pub cookies: Vec<Cookie>,
}

impl Session {
    /// The launch and a new file in its directory, through which cookies are exchanged with its driver: they are too many for
    /// one line of the protocol.
    fn cookie_file(&self) -> Result<(u64, Recipient<InBrowser>, PathBuf)> {
        let status = self.life.status();
        let launched = self.life.ready().ok_or(Error::SessionNotReady { status })?;
        let name = format!("cookies-{}.json", Uuid::new_v4().simple());
        let file = self.launcher.run_dir.launch_path(launched.launch).join(name);
        Ok((launched.launch, launched.driver.clone().recipient(), file))
    }
}

impl Handler<ReadCookies> for Session {
    type Result = ResponseFuture<Result<Vec<Cookie>>>;

    fn handle(&mut self, _: ReadCookies, _: &mut Context<Self>) -> Self::Result {
        let place = self.cookie_file();
        Box::pin(async move {
            let (launch, driver, file) = place?;
            ask(&driver, InBrowser::ReadCookies { launch, file: file.clone() }).await?;
            let content = blocking(move || {
                let content = fs::read(&file)?;
                fs::remove_file(&file)?;
                Ok(content)
            });
            // Not checked: sites set what nobody may send.
            serde_json::from_slice(&content.await?).map_err(|error| broken(error.to_string()))
        })
    }
}

impl Handler<WriteCookies> for Session {
    type Result = ResponseFuture<Result<()>>;

    fn handle(&mut self, WriteCookies { cookies }: WriteCookies, _: &mut Context<Self>) -> Self::Result {
        let place = self.cookie_file();
        Box::pin(async move {
            let (launch, driver, file) = place?;
            let written = file.clone();
            blocking(move || fs::write(written, serde_json::to_vec(&cookies)?)).await?;
            let done = ask(&driver, InBrowser::WriteCookies { launch, file: file.clone() }).await;
            // The directory is removed with the launch in any case.
            let _ = blocking(move || fs::remove_file(file)).await;
            done
        })
    }
}

/// Makes a request to the browser, which refuses cookies that it would not accept from a site.
async fn ask(driver: &Recipient<InBrowser>, request: InBrowser) -> Result<()> {
    match driver.send(request).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(NotDone::Refused(problem))) => Err(ProfileError::InvalidCookies { problem }.into()),
        Ok(Err(NotDone::Failed(problem))) => Err(broken(problem)),
        Err(_) => Err(Error::DriverLost { detail: "its driver has ended".to_owned() }),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| broken(error.to_string()))?.map_err(|error| broken(error.to_string()))
}

fn broken(detail: String) -> Error {
    Error::UpstreamBroke { what: "the browser".into(), detail: format!("its cookies: {detail}") }
}
