//! stub until merge
#[derive(Debug)]
pub struct Tables;
impl Tables {
    pub fn apply(&self, _e: &mut crmwatch_detectors::Event) {}
    pub fn shipped() -> Tables {
        Tables
    }
    pub fn load(_: &[String]) -> Result<Tables, String> {
        Ok(Tables)
    }
}
